"""Projects, datasets, sequences, labels and splits: the facts that everything else reads."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from duolog.plugins.types import Reason
from logs import reasons


class Project(models.Model):
    """A tenant: all data belongs to one, and access is granted on its slug."""

    slug = models.SlugField(_("slug"), unique=True)
    name = models.CharField(_("name"), max_length=200)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.name


class Dataset(models.Model):
    """A named collection of sequences; `run` is the work that last wrote into it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="datasets", verbose_name=_("project"))
    name = models.CharField(_("name"), max_length=100)
    note = models.TextField(_("note"), blank=True)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="dataset_name")]

    def __str__(self) -> str:
        return self.name


class Sequence(models.Model):
    """A log sequence, one row with its lines as `text[]`: 16 times faster to write than a row a line."""

    id = models.BigAutoField(primary_key=True)
    # No index of its own: both indexes below begin with the dataset.
    dataset = models.ForeignKey(
        Dataset, models.CASCADE, related_name="sequences", db_index=False, verbose_name=_("dataset")
    )
    key = models.CharField(_("sequence id"), max_length=200)
    entries = ArrayField(models.TextField(), verbose_name=_("log lines"))
    length = models.PositiveIntegerField(_("length"))
    templates = ArrayField(models.BigIntegerField(), null=True, blank=True, verbose_name=_("template ids"))
    times = ArrayField(models.FloatField(), null=True, blank=True, verbose_name=_("times (Unix seconds)"))
    meta = models.JSONField(_("further fields"), default=dict)
    origin = models.CharField(_("origin"), max_length=200, blank=True)
    started_at = models.DateTimeField(_("first line"), null=True, blank=True)
    ended_at = models.DateTimeField(_("last line"), null=True, blank=True)
    created_at = models.DateTimeField(_("stored"), db_default=Now())

    class Meta:
        verbose_name = _("sequence")
        verbose_name_plural = _("sequences")
        constraints = [models.UniqueConstraint(fields=["dataset", "key"], name="sequence_key")]
        indexes = [models.Index(fields=["dataset", "id"], name="sequence_page")]

    def __str__(self) -> str:
        return self.key


class Label(models.Model):
    """What somebody said about a sequence. Statements are added, never changed; `logs.labels` tells which counts."""

    class Source(models.TextChoices):
        """Who can state a label; a later member outweighs an earlier one."""

        GENERATOR = "generator", _("generator")
        IMPORT = "import", _("import")
        REVIEW = "review", _("review")

    id = models.BigAutoField(primary_key=True)
    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="labels", verbose_name=_("sequence"))
    value = models.PositiveSmallIntegerField(_("label"), choices=[(0, _("normal")), (1, _("anomalous"))])
    type = models.CharField(_("anomaly type"), max_length=80, blank=True)
    source = models.CharField(_("source"), max_length=10, choices=Source.choices)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("who"))
    confidence = models.FloatField(_("confidence"), default=1.0)
    created_at = models.DateTimeField(_("stated"), db_default=Now())

    class Meta:
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        constraints = [
            models.CheckConstraint(condition=Q(value__in=[0, 1]), name="label_value"),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="label_confidence"),
        ]
        # People state few labels beside those that are imported; `logs.statistics` looks for their newest one.
        indexes = [models.Index(fields=["sequence"], condition=Q(source="review"), name="label_review")]

    def __str__(self) -> str:
        return f"{self.get_value_display()} {self.type}".strip()


class Split(models.Model):
    """One part (train, validation, test) of one division of a dataset: an immutable list of sequences.

    Splitting again adds a new revision; the highest one is used unless a run says otherwise. `sha256` covers what
    training reads of the sequences, `lineage` tells where they and their labels come from, and `leakage` is the share
    of them whose template sequence stands in the part train, too (null for train itself).
    """

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="splits", verbose_name=_("dataset"))
    revision = models.PositiveIntegerField(_("revision"))
    name = models.SlugField(_("part"))
    seed = models.BigIntegerField(_("seed"))
    strategy = models.CharField(_("strategy"), max_length=20, default="random")
    # bigint[] and not a row a member: 8 bytes a sequence, read in one go.
    sequence_ids = ArrayField(models.BigIntegerField(), verbose_name=_("sequences"))
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    lineage = models.JSONField(_("lineage"), default=dict)
    leakage = models.FloatField(_("leakage"), null=True, blank=True)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("split")
        verbose_name_plural = _("splits")
        constraints = [models.UniqueConstraint(fields=["dataset", "revision", "name"], name="split_part")]

    def __str__(self) -> str:
        return f"{self.dataset}:{self.name}"

    @property
    def last_label(self) -> int | None:
        """The newest label that the division knew; None: it did not say."""
        return self.lineage.get("labels", {}).get("last")


class DatasetStatistics(models.Model):
    """What `logs.statistics` counted in a dataset, and the `content` that it held then."""

    dataset = models.OneToOneField(
        Dataset, models.CASCADE, primary_key=True, related_name="statistics", verbose_name=_("dataset")
    )
    content = models.CharField(_("content"), max_length=150)
    values = models.JSONField(_("values"), default=dict)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    computed_at = models.DateTimeField(_("computed"), db_default=Now())

    class Meta:
        verbose_name = _("statistics of a dataset")
        verbose_name_plural = _("statistics of datasets")

    def __str__(self) -> str:
        return str(self.dataset)


class Gap(models.Model):
    """How far a synthetic dataset is from a real one, when it was last measured; `training.gaps` tells the `values`."""

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="gaps", verbose_name=_("dataset"))
    real = models.ForeignKey(Dataset, models.CASCADE, related_name="+", verbose_name=_("real dataset"))
    values = models.JSONField(_("values"), default=dict)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    measured_at = models.DateTimeField(_("measured"), db_default=Now())

    class Meta:
        verbose_name = _("gap")
        verbose_name_plural = _("gaps")
        constraints = [models.UniqueConstraint(fields=["dataset", "real"], name="gap_pair")]

    def __str__(self) -> str:
        return f"{self.dataset} / {self.real}"


class QuarantinedRow(models.Model):
    """A row of an import that made no sense: kept with its reason, so that nothing is lost silently.

    `reason` and `details` are message and values of a `Reason`; `why` is what people see.
    """

    id = models.BigAutoField(primary_key=True)
    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="quarantine", verbose_name=_("dataset"))
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    file = models.CharField(_("file"), max_length=300)
    row = models.BigIntegerField(_("row"))
    reason = models.TextField(_("reason"))
    details = models.JSONField(_("details"), default=dict)
    excerpt = models.TextField(_("beginning of the row"))
    created_at = models.DateTimeField(_("stored"), db_default=Now())

    class Meta:
        verbose_name = _("quarantined row")
        verbose_name_plural = _("quarantined rows")
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.file}:{self.row}"

    @property
    def why(self) -> str:
        """The reason in the active language."""
        return reasons.shown(Reason(self.reason, **self.details))


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
        indexes = [models.Index(fields=["source", "idle_at"], name="open_idle")]

    def __str__(self) -> str:
        return f"{self.key}@{self.first}"


class UnjudgedSequence(models.Model):
    """A closed sequence that no model has scored yet; scoring deletes it in the transaction that keeps the score."""

    sequence = models.OneToOneField(Sequence, models.CASCADE, primary_key=True)
    source = models.ForeignKey(Source, models.CASCADE, related_name="unjudged")

    def __str__(self) -> str:
        return str(self.pk)
