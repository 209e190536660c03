"""A report in other forms: text, Markdown, JSON. Never computes what the report does not say."""
