"""The tally: calls settled in batches, each on disk before it is answered.

`settling` and `burning` are the rules, pure; the two drivers hold a database to them.
"""
