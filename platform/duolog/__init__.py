"""Duolog: the Django project package."""
