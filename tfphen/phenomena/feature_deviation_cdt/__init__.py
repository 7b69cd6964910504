"""Feature deviation and class-dependent temperatures."""
