"""Use as both sides see it: sums, windows, forecasts, notices, exports and receipts."""
