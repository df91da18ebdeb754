"""Built-in encoders: masked lines to vectors."""
