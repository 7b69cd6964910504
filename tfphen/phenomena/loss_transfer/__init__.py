"""Class separation and linear transfer across losses."""
