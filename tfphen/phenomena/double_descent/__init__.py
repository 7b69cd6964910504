"""Deep double descent."""
