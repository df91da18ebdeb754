"""Findings: anomalous sequences put before people."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Finding(models.Model):
    """An anomalous sequence; score and blame stand in `score`, which is that of the newest scan while it is open.

    `sequence` and `model` (its name, whatever the version) are those of the score: a sequence has one open finding of a
    model, and a constraint reaches no further than its table.
    """

    class State(models.TextChoices):
        """Where a finding is on its way through the team."""

        OPEN = "open", _("open")
        CONFIRMED = "confirmed", _("confirmed")
        DISMISSED = "dismissed", _("dismissed")

    project = models.SlugField(_("project"), default="default")
    score = models.OneToOneField("detection.Score", models.CASCADE, related_name="finding", verbose_name=_("score"))
    sequence = models.ForeignKey(
        "logs.Sequence", models.CASCADE, related_name="findings", verbose_name=_("sequence"), editable=False
    )
    model = models.SlugField(_("model"), db_index=False, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    created_at = models.DateTimeField(_("opened"), db_default=Now())

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["project", "state", "-created_at"], name="finding_queue")]
        constraints = [
            models.UniqueConstraint(fields=["sequence", "model"], condition=Q(state="open"), name="finding_open")
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
