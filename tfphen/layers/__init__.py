"""Keras layers of the phenomena, for use in any Keras model."""
