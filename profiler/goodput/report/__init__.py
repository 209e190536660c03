"""A trace and a capacity make a report."""
