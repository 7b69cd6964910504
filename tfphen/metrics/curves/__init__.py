"""Events in curves of training."""
