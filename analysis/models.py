"""Findings: anomalous sequences put before people."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Finding(models.Model):
    """An anomalous sequence of a scan; score and blame stand in `score`, so that nothing is said twice."""

    class State(models.TextChoices):
        """Where a finding is on its way through the team."""

        OPEN = "open", _("open")
        CONFIRMED = "confirmed", _("confirmed")
        DISMISSED = "dismissed", _("dismissed")

    project = models.SlugField(_("project"), default="default")
    score = models.OneToOneField("detection.Score", models.CASCADE, related_name="finding", verbose_name=_("score"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField(_("opened"), db_default=Now())

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["project", "state", "-created_at"], name="finding_queue")]

    def __str__(self) -> str:
        return f"#{self.pk}"
