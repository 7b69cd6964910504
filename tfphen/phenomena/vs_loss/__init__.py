"""Vector-scaling loss."""
