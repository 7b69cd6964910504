"""Simplicity bias."""
