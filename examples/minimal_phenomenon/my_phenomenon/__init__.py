"""Wider networks err less."""
