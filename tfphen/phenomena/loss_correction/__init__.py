"""Loss correction for label noise."""
