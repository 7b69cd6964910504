"""A phenomenon's declarations, and the plan, runner and records of its trials."""
