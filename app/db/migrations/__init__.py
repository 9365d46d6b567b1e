"""Migrations of the two stores: one Alembic history each, applied by `migrate`."""
