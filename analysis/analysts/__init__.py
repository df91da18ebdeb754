"""Built-in analysts."""
