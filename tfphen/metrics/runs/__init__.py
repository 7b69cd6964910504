"""Variation between training runs, and between members of an ensemble."""
