"""Flatness of the loss around trained weights, and the derivatives it needs."""
