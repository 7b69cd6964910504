"""What is measured on trained members."""
