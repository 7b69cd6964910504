"""Sensitivity to perturbations, shifts, training examples, and out-of-distribution inputs."""
