"""Invoices: what a buyer owes a provider for a month, line by line, frozen when issued.

Owns: invoices, their lines and numbers, which events each one covers.
Does not own: prices (listings), postings (ledger), the money itself (payments).
"""
