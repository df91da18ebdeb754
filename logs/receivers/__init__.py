"""Protocols of shippers over HTTP, a plugin each (`duolog.receivers`)."""
