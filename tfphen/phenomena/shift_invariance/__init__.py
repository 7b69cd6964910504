"""Shift invariance and adversarial robustness."""
