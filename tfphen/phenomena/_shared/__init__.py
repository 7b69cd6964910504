"""What several phenomena share."""
