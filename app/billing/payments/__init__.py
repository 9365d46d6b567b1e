"""Payments: how a buyer's money arrives, and the processor that takes it.

Owns: payments, their attempts and states, the inbox of webhooks, the processor.
Does not own: what is owed (invoices), what it means in the books (ledger), what providers get
(payouts). `processor.py` says what we ask of a processor; only `stripe_*.py` import its SDK.
"""
