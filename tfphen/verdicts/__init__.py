"""Statistics: estimates, signatures and controls, published numbers and comparisons with them."""
