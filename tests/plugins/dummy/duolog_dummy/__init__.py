"""Plugins for the tests of Duolog."""
