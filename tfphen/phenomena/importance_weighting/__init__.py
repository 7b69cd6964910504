"""Importance weighting fades."""
