"""What differs between runs of one training, and between members of an ensemble."""
