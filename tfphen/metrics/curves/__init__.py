"""Events in training curves."""
