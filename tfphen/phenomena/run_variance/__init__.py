"""Variance between runs."""
