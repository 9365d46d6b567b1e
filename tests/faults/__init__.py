"""Faults, injected into real processes and judged by observers that stand outside them."""
