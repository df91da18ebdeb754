"""A test-only app, enabled the way an operator enables a plugin with tables: by DUOLOG_APPS."""
