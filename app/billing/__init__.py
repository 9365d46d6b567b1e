"""Billing: what counted use costs, and how the money gets from the buyer to the provider.

Owns: fees, closing periods, invoices, the ledger, payments, payouts.
Does not own: counting use (metering), prices (listings), what was agreed (contracts).
"""
