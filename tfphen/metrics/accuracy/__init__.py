"""Accuracy class by class, for test sets with a long tail."""
