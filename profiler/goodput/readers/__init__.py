"""Files into traces and recordings."""
