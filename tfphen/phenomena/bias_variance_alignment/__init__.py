"""Bias-variance alignment."""
