"""Memorization: patterns first, noise later."""
