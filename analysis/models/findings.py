"""Findings, anomalous sequences put before people, and what analysts report about them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Finding(models.Model):
    """An anomalous sequence; score and blame stand in `score`, which is that of the newest scan while it is open.

    `sequence` and `model` (its name, whatever the version) are those of the score: a sequence has one open finding of a
    model, and a constraint reaches no further than its table. Its state follows that of its `item`, on which people
    decide.
    """

    class State(models.TextChoices):
        """Where a finding is on its way through the team."""

        OPEN = "open", _("open")
        CONFIRMED = "confirmed", _("confirmed")
        DISMISSED = "dismissed", _("dismissed")
        MUTED = "muted", _("muted")

    project = models.SlugField(_("project"), default="default")
    score = models.OneToOneField("detection.Score", models.CASCADE, related_name="finding", verbose_name=_("score"))
    sequence = models.ForeignKey(
        "logs.Sequence", models.CASCADE, related_name="findings", verbose_name=_("sequence"), editable=False
    )
    model = models.SlugField(_("model"), db_index=False, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    # None until `analysis.grouping` has put it with those that say the same, in the transaction that opens it.
    item = models.ForeignKey(
        "analysis.Item",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="findings",
        db_index=False,  # the one below begins with it
        verbose_name=_("item of review"),
    )
    created_at = models.DateTimeField(_("opened"), db_default=Now())

    class Meta:
        verbose_name = _("finding")
        verbose_name_plural = _("findings")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["project", "state", "-created_at"], name="finding_queue"),
            models.Index(fields=["item", "-created_at"], name="finding_item"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["sequence", "model"], condition=Q(state="open"), name="finding_open")
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class AnomalyReport(models.Model):
    """What an analyst says about a finding, with what `analysis.engine.grounding` made of it.

    `evidence` and `texts` are those of the public schema (`analysis.engine.schema`), without what was struck; `claims`
    tell of each claim whether it stands in the sequence, and `grounded` is the share that does. Reports of findings
    that say the same share a `key`, and are written once: the others copy it, and name it as `copy_of`.
    """

    class State(models.TextChoices):
        """How far it is."""

        WRITING = "writing", _("being written")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    finding = models.ForeignKey(Finding, models.CASCADE, related_name="reports", verbose_name=_("finding"))
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WRITING)
    analyst = models.CharField(_("analyst"), max_length=100)
    version = models.ForeignKey(
        "detection.ModelVersion", models.SET_NULL, null=True, blank=True, verbose_name=_("model version")
    )
    key = models.CharField(max_length=64, db_index=True)
    copy_of = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="copies")
    anomalous = models.BooleanField(_("anomalous"), default=True)
    category = models.CharField(_("category"), max_length=20, blank=True)
    type = models.CharField(_("type"), max_length=100, blank=True)
    severity = models.CharField(_("severity"), max_length=10, blank=True)
    confidence = models.FloatField(_("confidence"), default=0.0)
    evidence = models.JSONField(_("evidence"), default=list)
    texts = models.JSONField(_("texts"), default=dict)
    claims = models.JSONField(_("claims"), default=list)
    grounded = models.FloatField(_("grounded"), default=1.0)
    draft = models.TextField(_("draft"), blank=True)
    error = models.TextField(_("error"), blank=True)
    model = models.CharField(_("model"), max_length=200, blank=True)
    prompt_tokens = models.PositiveIntegerField(_("tokens read"), default=0)
    completion_tokens = models.PositiveIntegerField(_("tokens written"), default=0)
    seconds = models.FloatField(_("seconds"), default=0.0)
    cost = models.DecimalField(_("cost"), max_digits=12, decimal_places=6, default=0)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["finding", "-id"], name="report_newest", condition=Q(state="done")),
            # What was written, and not copied, is what was paid for.
            models.Index(fields=["created_at"], name="report_written", condition=Q(copy_of=None)),
        ]

    def __str__(self) -> str:
        return f"{self.finding} {self.analyst}"
