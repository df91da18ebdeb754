"""Where alerts go, which ones, and what became of each."""

from __future__ import annotations

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

LAST_MINUTE = 24 * 60 - 1
SEVERITIES = [("low", _("low")), ("medium", _("medium")), ("high", _("high")), ("critical", _("critical"))]


def check_zone(name: str) -> None:
    """Refuse what is no time zone."""
    if name not in available_timezones():
        raise ValidationError(_("%(zone)s is no time zone; name one such as Asia/Shanghai"), params={"zone": name})


class Channel(models.Model):
    """A place that alerts can go to: a notifier plugin (`duolog.notifiers`) with its options.

    `secrets` are the options that nobody may read again (addresses of bots hold their keys), encrypted
    (`duolog.secrets`). From `ready_at` on the next message may go: it moves on with each message, as the notifier's
    rate asks for, and stands in the future while somebody sends (`analysis.deliveries`).
    """

    id = models.BigAutoField(primary_key=True)
    project = models.SlugField(_("project"))
    name = models.SlugField(_("name"))
    notifier = models.CharField(_("notifier"), max_length=100)
    options = models.JSONField(_("options"), default=dict)
    secrets = models.BinaryField(default=b"", editable=False)
    enabled = models.BooleanField(_("enabled"), default=True)
    ready_at = models.DateTimeField(db_default=Now(), editable=False)
    created_at = models.DateTimeField(_("made"), db_default=Now())

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ["project", "name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="channel_name")]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which items of a project a channel is told of: from a severity on, of services, at some hours of the week."""

    id = models.BigAutoField(primary_key=True)
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="routes", verbose_name=_("channel"))
    severity = models.CharField(_("from severity"), max_length=10, choices=SEVERITIES, default="medium")
    service = models.CharField(_("services (* and ? stand for any)"), max_length=200, default="*")
    # Minutes of the day in `zone`; from > until spans midnight and belongs to the day it began on, from = until is all
    # day.
    from_minute = models.PositiveSmallIntegerField(
        _("from minute of the day"), default=0, validators=[MaxValueValidator(LAST_MINUTE)]
    )
    until_minute = models.PositiveSmallIntegerField(
        _("until minute of the day"), default=0, validators=[MaxValueValidator(LAST_MINUTE)]
    )
    weekdays = models.CharField(
        _("days of the week (1 is Monday)"), max_length=7, default="1234567", validators=[RegexValidator("^[1-7]+$")]
    )
    zone = models.CharField(_("time zone"), max_length=50, default="UTC", validators=[check_zone])

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.service} ≥ {self.severity}"


class Delivery(models.Model):
    """Something that a channel is to be told, and what came of it; Postgres is the queue, as with runs.

    One row an item, channel and state of it: told twice, it stays one. Those that wait while a bot's bucket is empty go
    out together, as one digest (`sent_with`). `due_at` is when to send it, or, of what is sent already and its receiver
    forgets, when to send it again; None: nothing is left to do. `labels` are those of the first time that it was told.
    """

    class State(models.TextChoices):
        """How far it is."""

        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("failed")

    class Kind(models.TextChoices):
        """What is told."""

        FIRING = "firing", _("firing")
        RESOLVED = "resolved", _("resolved")
        TEST = "test", _("test")

    id = models.BigAutoField(primary_key=True)
    channel = models.ForeignKey(Channel, models.CASCADE, related_name="deliveries", verbose_name=_("channel"))
    item = models.ForeignKey(
        "analysis.Item", models.CASCADE, null=True, blank=True, related_name="deliveries", verbose_name=_("item")
    )
    round = models.PositiveIntegerField(default=1)
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(_("due"), db_default=Now(), null=True, blank=True)
    labels = models.JSONField(default=dict, editable=False)
    # Of an earlier time that the item was open in this round: a verdict that settled it was taken back since.
    closed = models.BooleanField(default=False, editable=False)
    error = models.TextField(_("error"), blank=True)
    sent_with = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="digest")
    created_at = models.DateTimeField(_("queued"), db_default=Now())
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "item", "round", "kind"],
                condition=~Q(kind="test") & Q(closed=False),
                name="delivery_once",
            )
        ]
        indexes = [
            models.Index(fields=["channel", "due_at"], condition=Q(due_at__isnull=False), name="delivery_due"),
            models.Index(fields=["channel", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.get_kind_display()}"
