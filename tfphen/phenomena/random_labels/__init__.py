"""Fitting random labels."""
