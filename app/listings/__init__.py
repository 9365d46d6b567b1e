"""Listings: what is for sale: its description, data, licence terms and prices.

Owns: listings and their frozen versions, data files, upstreams, plans and their rating, reviews,
the public catalogue.
Does not own: who agreed to what (contracts), counting use (metering), what use costs (billing).
"""
