"""Plugin contracts and their discovery; free of Django, Celery and torch."""
