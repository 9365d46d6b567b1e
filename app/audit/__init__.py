"""Audit: what happened, in one append-only log that anybody can check.

Owns: leaves, their order, the Merkle tree over them, signed checkpoints, proofs.
Does not own: what the leaves tell (each package records its own changes), or who may read a trail
(reports).
"""
