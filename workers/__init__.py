"""Runs and workers."""
