"""The one training loop: populations of models that share a computation graph."""
