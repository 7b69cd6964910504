"""Mixing hidden states and labels."""
