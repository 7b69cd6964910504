"""Relative flatness and generalisation."""
