"""Kernel: the values that every room speaks in.

Owns: money, time, ids, who acts, canonical bytes, sealing, refusals.
Does not own: anything of the web, of a database, or of the business.
"""
