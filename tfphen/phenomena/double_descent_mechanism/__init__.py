"""Double descent and noisy labels in feature space."""
