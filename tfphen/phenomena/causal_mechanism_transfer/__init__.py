"""Few-shot domain adaptation by a causal mechanism."""
