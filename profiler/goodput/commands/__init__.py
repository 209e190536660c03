"""The commands, one file each: they join what the floors below offer."""
