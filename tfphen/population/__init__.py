"""Many copies of one Keras model trained as one program."""
