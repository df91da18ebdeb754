"""Pure ML code of training: no Django, Celery or database here."""
