"""A row a line."""

from django.db import models


class DrfLine(models.Model):
    """One line, with an index on its time."""

    time = models.DateTimeField(db_index=True)
    service = models.CharField(max_length=100)
    level = models.CharField(max_length=10)
    message = models.TextField()
    host = models.TextField(blank=True)
    trace_id = models.CharField(max_length=32, blank=True)

    class Meta:
        app_label = "drf"

    def __str__(self) -> str:
        return self.message
