"""Conditions: which rows of a table are meant, in a small grammar that can only compare.

Owns: what columns hold, the grammar, the tree of an expression. Licences name rows with it, and so
do queries. Does not own: running an expression on data (metering).
"""
