"""Measuring the roofs of the device in use."""
