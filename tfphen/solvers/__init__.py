"""Fits without gradient steps that several phenomena use."""
