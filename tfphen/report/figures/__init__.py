"""Figures of phenomena that take many lines: `<id>.py` with `draw(table, config, figure)`."""
