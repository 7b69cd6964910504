"""The phenomena, one file each. The folder is the registry."""
