"""Lines as they come: sources, receipts, chunks, and the sequences that are still open."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from duolog.plugins.types import Reason
from logs import reasons
from logs.models.datasets import Dataset, Project, Sequence


class Source(models.Model):
    """A feed of lines in a project: how its lines become sequences, where these lie, and how long lines are kept.

    `rule` are the options of `logs.engine.sequencing.Rule`; `watermark` is the latest time that a line of it had, in
    Unix seconds. Without a `model` the project's champion judges its sequences.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="sources", verbose_name=_("project"))
    name = models.SlugField(_("name"))
    dataset = models.ForeignKey(
        Dataset,
        models.PROTECT,
        related_name="sources",
        verbose_name=_("dataset"),
        help_text=_("where its sequences lie"),
    )
    rule = models.JSONField(_("rule of sequences"), default=dict, blank=True)
    days = models.PositiveIntegerField(_("days that lines are kept"), null=True, blank=True)
    judged = models.BooleanField(_("judged as lines come in"), default=True)
    model = models.CharField(_("model"), max_length=120, blank=True)
    watermark = models.FloatField(_("latest time of a line"), default=0.0, editable=False)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("source of lines")
        verbose_name_plural = _("sources of lines")
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="source_name")]

    def __str__(self) -> str:
        return self.name


class Receipt(models.Model):
    """What became of one batch of lines: it is written in the transaction that stores them.

    The same bytes (`digest`) within `known_until` are the same batch sent again: they are counted in `repeats`, and
    not stored.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    source = models.ForeignKey(
        Source, models.CASCADE, related_name="receipts", db_index=False, verbose_name=_("source of lines")
    )
    receiver = models.CharField(_("protocol"), max_length=40)
    lines = models.PositiveIntegerField(_("lines"))
    rejected = models.PositiveIntegerField(_("rejected"))
    repeats = models.PositiveIntegerField(_("sent again"), db_default=0)
    redacted = models.JSONField(_("redacted"), default=dict)
    digest = models.BinaryField(max_length=16, null=True, editable=False)
    known_until = models.DateTimeField(editable=False)
    received_at = models.DateTimeField(_("received"), db_default=Now())

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [models.UniqueConstraint(fields=["source", "digest"], name="receipt_once")]
        indexes = [models.Index(fields=["source", "-received_at"], name="receipt_page")]

    def __str__(self) -> str:
        return str(self.id)


class RejectedRecord(models.Model):
    """A record of a batch that made no sense: kept, redacted, with its reason, until somebody replays or deletes it."""

    id = models.BigAutoField(primary_key=True)
    receipt = models.ForeignKey(Receipt, models.CASCADE, related_name="records", verbose_name=_("receipt"))
    row = models.BigIntegerField(_("record"))
    reason = models.TextField(_("reason"))
    details = models.JSONField(_("details"), default=dict)
    text = models.TextField(_("text"))

    class Meta:
        verbose_name = _("rejected record")
        verbose_name_plural = _("rejected records")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.receipt_id}:{self.row}"

    @property
    def why(self) -> str:
        """The reason in the active language."""
        return reasons.shown(Reason(self.reason, **self.details))


class Chunk(models.Model):
    """The lines of one batch, packed (`logs.engine.chunks`): partitioned by the day on which they may be forgotten.

    The day is the source's, so each project keeps its lines as long as it likes, and old ones go by dropping a table.
    """

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, models.DO_NOTHING, db_constraint=False, verbose_name=_("source of lines"))
    receipt_id = models.UUIDField(_("receipt"))
    expires = models.DateField(_("kept until"))
    lines = models.PositiveIntegerField(_("lines"))
    first = models.FloatField(_("first line"))
    last = models.FloatField(_("last line"))
    body = models.BinaryField()
    received_at = models.DateTimeField(_("received"), db_default=Now())

    class Meta:
        managed = False  # Django knows no partitions; migration 0005 makes the table
        db_table = "logs_chunk"

    def __str__(self) -> str:
        return str(self.pk)


class PendingChunk(models.Model):
    """A chunk whose lines are in no sequence yet; the sequencer deletes it in the transaction that puts them there."""

    chunk = models.BigIntegerField(primary_key=True)
    expires = models.DateField()
    source = models.ForeignKey(Source, models.CASCADE, related_name="pending")
    lines = models.PositiveIntegerField()
    received_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["source", "chunk"], name="pending_order")]

    def __str__(self) -> str:
        return str(self.pk)


class OpenSequence(models.Model):
    """A sequence that may still get lines (`logs.engine.sequencing`); `first` is the number of its first line.

    Windows that overlap may have that in common, and `window` tells them apart. It closes when the source's watermark
    reaches `close`, or at `idle_at`, whichever comes first.
    """

    pk = models.CompositePrimaryKey("source_id", "key", "first", "window")
    source = models.ForeignKey(Source, models.CASCADE, related_name="open_sequences", db_index=False)
    key = models.TextField()
    first = models.BigIntegerField()
    window = models.BigIntegerField()
    entries = ArrayField(models.TextField())
    times = ArrayField(models.FloatField())
    services = ArrayField(models.TextField())
    close = models.FloatField()
    idle_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["source", "close"], name="open_close"),
            models.Index(fields=["source", "idle_at"], name="open_idle"),
        ]

    def __str__(self) -> str:
        return f"{self.key}@{self.first}"


class UnjudgedSequence(models.Model):
    """A closed sequence that no model has scored yet; scoring deletes it in the transaction that keeps the score."""

    sequence = models.OneToOneField(Sequence, models.CASCADE, primary_key=True)
    source = models.ForeignKey(Source, models.CASCADE, related_name="unjudged")

    def __str__(self) -> str:
        return str(self.pk)


class RedactionRule(models.Model):
    """What a project wants done with one kind of secret: another strategy than masking, or a kind of its own.

    Kinds without a row are masked, but for IP addresses, which are left alone (`logs.engine.redaction`).
    """

    class Strategy(models.TextChoices):
        """What becomes of a value."""

        MASK = "mask", _("mask: [REDACTED:kind]")
        HASH = "hash", _("hash: equal values stay equal")
        DROP = "drop", _("drop")
        KEEP = "keep", _("keep: do not look for it")

    project = models.ForeignKey(Project, models.CASCADE, related_name="redaction_rules", verbose_name=_("project"))
    kind = models.CharField(_("kind"), max_length=40)
    strategy = models.CharField(_("strategy"), max_length=4, choices=Strategy.choices, default=Strategy.MASK)
    pattern = models.TextField(_("pattern of a kind of your own"), blank=True)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("set by")
    )
    set_at = models.DateTimeField(_("set"), db_default=Now())

    class Meta:
        verbose_name = _("redaction rule")
        verbose_name_plural = _("redaction rules")
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="redaction_kind")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.strategy}"
