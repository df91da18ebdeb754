"""Notifiers: where alerts go. Nothing here knows the database; `analysis.alerts` decides who is told what, and when."""
