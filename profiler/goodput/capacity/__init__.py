"""What a device can deliver: roofs, their provenance, and the datasheet."""
