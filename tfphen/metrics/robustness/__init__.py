"""What changes a prediction: small perturbations, shifts, single examples, foreign inputs."""
