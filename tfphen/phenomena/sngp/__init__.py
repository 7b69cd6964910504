"""Distance-aware uncertainty (SNGP)."""
