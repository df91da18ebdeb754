"""Built-in generators of synthetic sequences."""
