"""Measures of trained members, and adversarial attacks on them."""
