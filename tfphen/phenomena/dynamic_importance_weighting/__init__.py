"""Dynamic importance weighting."""
