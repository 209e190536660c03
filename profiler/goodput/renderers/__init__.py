"""A report as text, Markdown and JSON."""
