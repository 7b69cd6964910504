"""Wider networks err less on handwritten digits."""
