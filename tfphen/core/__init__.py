"""Foundations: errors, checks, configs, trials, seeds and references by name."""
