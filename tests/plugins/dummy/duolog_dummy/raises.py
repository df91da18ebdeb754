"""Raises when it is imported."""

raise RuntimeError("the module is broken")
