"""A synthetic shop of microservices: what it does (flows), how it fails (faults, stories) and how it talks (styles)."""
