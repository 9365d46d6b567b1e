"""The Stripe double: a stateful HTTP server that speaks Stripe's wire format for the calls we make.

Owns: accounts, customers, payments, refunds, transfers, payouts and disputes of a pretended Stripe;
its idempotency keys, signed webhooks and injected faults. `operations.py` lists what it answers.
Does not own: what a payment is for. It moves no money and refuses a live key.

A call goes server → answering (keys, faults) → operations (one module a resource) → world (state).
"""
