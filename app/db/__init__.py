"""Database: engines, sessions and the one place that commits.

Owns: the two stores' engines, transactions, column types, row locks, migrations.
Does not own: any table of the business.
"""
