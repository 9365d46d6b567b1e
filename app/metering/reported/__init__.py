"""Reported use: delivered elsewhere, told by the provider as CloudEvents, settled like calls."""
