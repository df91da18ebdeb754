"""The small model as pure code: no Django, no Celery, no database."""
