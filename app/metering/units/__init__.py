"""Unit grants: units beside the quotas (trial, top-up, goodwill, carried over), rated at zero."""
