"""Grokking and the slingshot mechanism."""
