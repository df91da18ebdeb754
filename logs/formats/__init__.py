"""Built-in formats: plugins like anybody's, found through the entry-point group `duolog.formats`."""
