"""Payouts: a provider's share goes from captured money to its connected account.

Owns: payout accounts and their onboarding, payouts and their release.
Does not own: how much is owed (ledger), whether the buyer has paid (payments).
"""
