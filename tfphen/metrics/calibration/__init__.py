"""How well predicted probabilities match what happens: calibration errors and proper scores."""
