"""Contracts: how a buyer and a provider come to agree, and proof that they did.

Owns: negotiation, versions of terms, signatures, contracts, grants.
Does not own: what is for sale (listings), counting use (metering), what use costs (billing).
"""
