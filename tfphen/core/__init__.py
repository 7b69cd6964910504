"""What everything stands on: errors, checks, settings, trials, seeds and references by name."""
