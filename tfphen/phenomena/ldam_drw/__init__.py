"""Margins for rare classes and deferred re-weighting."""
