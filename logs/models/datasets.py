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
    """A tenant: all data belongs to one, and access is granted on its slug.

    Lines leave the house (`Analyst.remote`) only where its owner allows it.
    """

    slug = models.SlugField(_("slug"), unique=True)
    name = models.CharField(_("name"), max_length=200)
    remote_analysts = models.BooleanField(_("lines may be sent to remote analysts"), default=False)
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
    """What somebody said about a sequence. Statements are added, never changed; `logs.labels` tells which counts.

    Labels that one verdict gave have its `statement` in common, and go with it if it is undone.
    """

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
    statement = models.UUIDField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("stated"), db_default=Now())

    class Meta:
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        constraints = [
            models.CheckConstraint(condition=Q(value__in=[0, 1]), name="label_value"),
            models.CheckConstraint(condition=Q(confidence__gte=0, confidence__lte=1), name="label_confidence"),
        ]
        # People state few labels beside those that are imported; `logs.statistics` looks for their newest one.
        indexes = [
            models.Index(fields=["sequence"], condition=Q(source="review"), name="label_review"),
            models.Index(fields=["statement"], condition=Q(statement__isnull=False), name="label_statement"),
        ]

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
