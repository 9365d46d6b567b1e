"""The ledger: double-entry, append-only; what is owed to whom, to the minor unit.

Owns: accounts, transfers and their postings, the rules that turn an event into postings.
Does not own: why money is due (invoices), or how it moves (payments, payouts).
"""
