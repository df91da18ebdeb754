"""Built-in detectors: sequences to scores."""
