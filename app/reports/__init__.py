"""Reports: read-only questions across the whole business.

Owns: the inspector, fsck, readiness, and the audit questions that ask who you are.
Does not own: any row; it reads through the functions of the packages that do.
"""
