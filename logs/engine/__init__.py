"""Pure functions on log lines; no Django, no database."""
