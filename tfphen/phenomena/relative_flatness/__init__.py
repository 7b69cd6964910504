"""Relative flatness and generalization."""
