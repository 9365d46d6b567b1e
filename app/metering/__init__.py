"""Metering: every call is admitted against its grant, counted durably, and only then answered.

Owns: grant states, quota windows, usage events and their segments; the gateway and what it fetches.
Does not own: what was agreed (contracts), what use costs (billing).
"""
