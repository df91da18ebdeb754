"""Items of review: what is put before people at once, who holds it, what they say, and all that happened to it."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class ReviewPolicy(models.Model):
    """How a project reviews; one without a row does so by these defaults.

    With several `reviewers` an item is settled when so many have said the same without seeing each other, and goes to
    adjudication where they have not. `control_share` of what reviewers get are sequences that no model flagged, drawn
    at random, so that misses are found, too. What was confirmed and is seen again after `quiet_hours` is opened again.
    """

    project = models.SlugField(_("project"), primary_key=True)
    reviewers = models.PositiveSmallIntegerField(
        _("reviewers an item"), default=1, validators=[MinValueValidator(1), MaxValueValidator(9)]
    )
    control_share = models.FloatField(
        _("share of random normal sequences"), default=0.05, validators=[MinValueValidator(0.0), MaxValueValidator(0.5)]
    )
    quiet_hours = models.PositiveIntegerField(
        _("hours after which what was confirmed is opened again"), default=24, validators=[MinValueValidator(1)]
    )

    class Meta:
        verbose_name = _("review policy")
        verbose_name_plural = _("review policies")

    def __str__(self) -> str:
        return self.project


class Item(models.Model):
    """What is put before reviewers at once: findings that say the same, or a single sequence that nobody flagged.

    The findings of an item have their template sequence (`fingerprint`) and service in common, so that one verdict is
    one on all of them. `sequence` and `score` are those that people look at: of findings, the newest. `priority` is how
    much a verdict teaches (`analysis.engine.priority`). A merged item is closed and lives on in another one. `round`
    grows when an item is opened again: verdicts of earlier rounds are history.
    """

    class Kind(models.TextChoices):
        """Why people are asked."""

        FINDINGS = "findings", _("findings")
        DOUBT = "doubt", _("only the shadow flags it")
        CONTROL = "control", _("random sample")

    class State(models.TextChoices):
        """Where an item is on its way through the team; the last three are the end of it."""

        OPEN = "open", _("open")
        DISPUTED = "disputed", _("disputed")
        CONFIRMED = "confirmed", _("confirmed")
        DISMISSED = "dismissed", _("dismissed")
        MUTED = "muted", _("muted")

    id = models.BigAutoField(primary_key=True)
    project = models.SlugField(_("project"), default="default")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.FINDINGS)
    fingerprint = models.BinaryField(max_length=16, editable=False)
    service = models.CharField(_("service"), max_length=200, blank=True)
    sequence = models.ForeignKey("logs.Sequence", models.CASCADE, related_name="items", verbose_name=_("sequence"))
    score = models.ForeignKey(
        "detection.Score", models.SET_NULL, null=True, blank=True, related_name="items", verbose_name=_("score")
    )
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.OPEN)
    round = models.PositiveIntegerField(_("round"), default=1)
    # Of the newest report; once it is settled, of the verdict.
    type = models.CharField(_("type"), max_length=100, blank=True)
    severity = models.CharField(_("severity"), max_length=10, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="items", verbose_name=_("owner")
    )
    findings_count = models.PositiveIntegerField(_("findings"), default=0)
    priority = models.FloatField(_("priority"), default=0.0)
    # The shadow is of another mind than the champion: such items are asked about first.
    doubted = models.BooleanField(_("the shadow disagrees"), default=False)
    merged_into = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="merged", verbose_name=_("merged into")
    )
    muted_by = models.ForeignKey(
        "analysis.MuteRule", models.SET_NULL, null=True, blank=True, related_name="items", verbose_name=_("muted by")
    )
    # The labels that settled it (`logs.Label.statement`), to be withdrawn with it.
    statement = models.UUIDField(null=True, blank=True, editable=False)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)
    first_seen_at = models.DateTimeField(_("first seen"), db_default=Now())
    last_seen_at = models.DateTimeField(_("last seen"), db_default=Now())

    class Meta:
        verbose_name = _("item of review")
        verbose_name_plural = _("items of review")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "fingerprint", "service"], condition=Q(kind="findings"), name="item_findings"
            ),
            models.UniqueConstraint(fields=["project", "sequence"], condition=~Q(kind="findings"), name="item_single"),
        ]
        indexes = [
            models.Index(fields=["project", "state", "-priority", "-id"], name="item_queue"),
            models.Index(fields=["project", "state", "-last_seen_at"], name="item_newest"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"


class Lease(models.Model):
    """A reviewer holds an item for a while; so many at once as may still judge it (`analysis.queue`).

    `draft` is what they have noted down and not said yet.
    """

    id = models.BigAutoField(primary_key=True)
    item = models.ForeignKey(Item, models.CASCADE, related_name="leases")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="leases")
    until = models.DateTimeField()
    draft = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "user"], name="lease_once")]
        indexes = [models.Index(fields=["user", "until"], name="lease_user")]

    def __str__(self) -> str:
        return f"{self.item} {self.user}"


class Verdict(models.Model):
    """What one reviewer says about an item in a round of it; an adjudication settles what the others dispute.

    `lines` (0-based) are those of the item's sequence that bear the verdict out, if somebody marked them. What is
    undone stays, and counts no more.
    """

    id = models.BigAutoField(primary_key=True)
    item = models.ForeignKey(Item, models.CASCADE, related_name="verdicts", verbose_name=_("item of review"))
    round = models.PositiveIntegerField(_("round"), default=1)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="verdicts", verbose_name=_("who"))
    anomalous = models.BooleanField(_("anomalous"))
    type = models.CharField(_("anomaly type"), max_length=80, blank=True)
    lines = ArrayField(models.PositiveIntegerField(), default=list, blank=True, verbose_name=_("lines"))
    note = models.TextField(_("note"), blank=True)
    adjudication = models.BooleanField(_("adjudication"), default=False)
    seconds = models.FloatField(_("seconds it took"), null=True, blank=True)
    created_at = models.DateTimeField(_("said"), db_default=Now())
    undone_at = models.DateTimeField(_("undone"), null=True, blank=True)

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["item", "round", "user"], condition=Q(undone_at=None), name="verdict_once")
        ]
        indexes = [models.Index(fields=["user", "-id"], condition=Q(undone_at=None), name="verdict_newest")]

    def __str__(self) -> str:
        return self.type or str(_("anomalous") if self.anomalous else _("normal"))

    @property
    def says(self) -> tuple[bool, str]:
        """What two verdicts must have in common to agree."""
        return self.anomalous, self.type


class Comment(models.Model):
    """What somebody remarks on an item, and whom they mean by it (`@name`)."""

    id = models.BigAutoField(primary_key=True)
    item = models.ForeignKey(Item, models.CASCADE, related_name="comments", verbose_name=_("item of review"))
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("who"))
    text = models.TextField(_("text"))
    mentions: models.ManyToManyField[models.Model, models.Model] = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="mentioned_in", blank=True, verbose_name=_("mentions")
    )
    created_at = models.DateTimeField(_("said"), db_default=Now())

    class Meta:
        verbose_name = _("comment")
        verbose_name_plural = _("comments")
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text[:80]


class Event(models.Model):
    """Something happened to an item, or to a mute rule: what, when, and who did it (None: Duolog). Only ever added."""

    class Action(models.TextChoices):
        """What can happen."""

        OPENED = "opened", _("opened")
        REOPENED = "reopened", _("opened again")
        ASSIGNED = "assigned", _("assigned")
        JUDGED = "judged", _("judged")
        UNDONE = "undone", _("undone")
        DISPUTED = "disputed", _("disputed")
        SETTLED = "settled", _("settled")
        MERGED = "merged", _("merged")
        MUTED = "muted", _("muted")
        UNMUTED = "unmuted", _("no longer muted")
        RULE = "rule", _("mute rule changed")
        ALERTED = "alerted", _("alert sent")

    id = models.BigAutoField(primary_key=True)
    project = models.SlugField(_("project"))
    item = models.ForeignKey(
        Item, models.CASCADE, null=True, blank=True, related_name="events", verbose_name=_("item of review")
    )
    action = models.CharField(_("action"), max_length=10, choices=Action.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("who"))
    details = models.JSONField(_("details"), default=dict)
    at = models.DateTimeField(_("when"), db_default=Now())

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["item", "-id"], name="event_item"),
            models.Index(fields=["project", "-id"], condition=Q(action="rule"), name="event_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.item or self.project}: {self.get_action_display()}"
