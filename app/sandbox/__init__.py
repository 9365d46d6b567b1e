"""Sandbox: what stands outside of an installation, played on one machine for demo and tests.

Owns: the Stripe double, the demo's upstream, the demo's data with their licences, its story.
Does not own: anything of the product; only the command line and tests import it.
"""
