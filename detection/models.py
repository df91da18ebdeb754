"""Model versions with their aliases and scorecards, cached line vectors, scans and their scores."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


class ModelVersion(models.Model):
    """A fitted detector or a fine-tuned analyst: which plugin made it, with which options, from what, how well it does.

    Of an analyst `detector` names its plugin, `encoder` the base model beneath its adapter, and there is no threshold.
    """

    class Kind(models.TextChoices):
        """What a version is for."""

        DETECTOR = "detector", _("detector")
        ANALYST = "analyst", _("analyst")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.DETECTOR)
    # A slug, as in Run; `detection` decides nothing about tenants.
    project = models.SlugField(_("project"), default="default")
    name = models.SlugField(_("name"))
    number = models.PositiveIntegerField(_("version"))
    detector = models.CharField(_("detector"), max_length=100)
    distribution = models.CharField(_("distribution"), max_length=100)
    distribution_version = models.CharField(_("distribution version"), max_length=50)
    options = models.JSONField(_("options"), default=dict)
    encoder = models.CharField(_("encoder"), max_length=300)
    encoder_digest = models.CharField(_("encoder digest"), max_length=64)
    # The detector's own score s becomes sigmoid(logit(s) / temperature) before anybody sees it; so the threshold is one
    # on calibrated scores, and `policy` says how it was chosen (`detection.thresholds.Chosen`).
    temperature = models.FloatField(_("temperature"), default=1.0)
    threshold = models.FloatField(_("threshold"), default=0.5)
    policy = models.JSONField(_("threshold policy"), default=dict)
    metrics = models.JSONField(_("metrics"), default=dict)
    # What `detection.engine.curves.draw` returned, by part; beside `metrics`, since lists show those and not these.
    plots = models.JSONField(_("plots"), default=dict)
    # What its recipe reaches with few labels, by dataset (`training.learning_curves.measure`).
    learning = models.JSONField(_("learning curves"), default=dict)
    # How scores and templates lay when it was fitted (`detection.engine.drift.Reference`); empty: nobody counted.
    reference = models.JSONField(_("reference"), default=dict)
    lineage = models.JSONField(_("lineage"), default=dict)
    path = models.CharField(_("path in the artifact store"), max_length=300)
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("model version")
        verbose_name_plural = _("model versions")
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["project", "name", "number"], name="model_version")]

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


class ModelAlias(models.Model):
    """A name such as `champion` that points to one version and can be moved."""

    project = models.SlugField(_("project"), default="default")
    name = models.SlugField(_("model"))
    alias = models.SlugField(_("alias"))
    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="aliases", verbose_name=_("version"))
    set_at = models.DateTimeField(_("set"), db_default=Now())
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("set by")
    )

    class Meta:
        verbose_name = _("alias")
        verbose_name_plural = _("aliases")
        constraints = [models.UniqueConstraint(fields=["project", "name", "alias"], name="model_alias")]

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}"


class AliasChange(models.Model):
    """An alias began to point to a version: who moved it, when and why. Rows are added, never changed.

    Each alias holds from one row to the next, so these tell what was live at any time. `problems` are those that
    spoke against it (`detection.promotion`) and that `reason` overrode.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.SlugField(_("project"), default="default")
    name = models.SlugField(_("model"))
    alias = models.SlugField(_("alias"))
    # PROTECT: a version that was live is part of the record.
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="changes", verbose_name=_("version"))
    rollback = models.BooleanField(_("rollback"), default=False)
    reason = models.TextField(_("reason"), blank=True)
    problems = models.JSONField(_("overridden problems"), default=list)
    set_at = models.DateTimeField(_("set"), db_default=Now())
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("set by")
    )

    class Meta:
        verbose_name = _("change of an alias")
        verbose_name_plural = _("changes of aliases")
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "name", "alias", "-id"], name="alias_history")]

    def __str__(self) -> str:
        return f"{self.name}@{self.alias} → {self.version}"


class ThresholdChange(models.Model):
    """The threshold of a version was chosen anew: to what, how, by whom and why. Rows are added, never changed."""

    id = models.BigAutoField(primary_key=True)
    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="thresholds", verbose_name=_("version"))
    before = models.FloatField(_("threshold before"))
    threshold = models.FloatField(_("threshold"))
    policy = models.JSONField(_("threshold policy"), default=dict)
    reason = models.TextField(_("reason"), blank=True)
    run = models.ForeignKey("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    set_at = models.DateTimeField(_("set"), db_default=Now())
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("set by")
    )

    class Meta:
        verbose_name = _("change of a threshold")
        verbose_name_plural = _("changes of thresholds")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.version}: {self.threshold:.4g}"


class Scorecard(models.Model):
    """What a version's recipe reaches on a dataset when it is trained and measured anew, several times per protocol.

    `protocols` holds by name what `training.engine.protocol.summary` says, or {"skipped": why}; `instability` the F1 by
    kind and percent of disturbed lines ("curves"), under which protocol, and why a kind is not measured.
    """

    project = models.SlugField(_("project"), default="default")
    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="scorecards", verbose_name=_("version"))
    dataset = models.ForeignKey("logs.Dataset", models.CASCADE, related_name="scorecards", verbose_name=_("dataset"))
    seeds = models.PositiveIntegerField(_("seeds"))
    protocols = models.JSONField(_("protocols"))
    instability = models.JSONField(_("instability"))
    run = models.OneToOneField("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("scorecard")
        verbose_name_plural = _("scorecards")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.version} × {self.dataset}"


class LineVector(models.Model):
    """The vector of one distinct masked line under one encoder; float32, little-endian."""

    id = models.BigAutoField(primary_key=True)
    encoder = models.CharField(max_length=64)
    line = models.BinaryField(max_length=16)  # BLAKE2b-128 of the masked line
    vector = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["encoder", "line"], name="line_vector")]

    def __str__(self) -> str:
        return f"{self.encoder[:8]}:{bytes(self.line).hex()}"


class Scan(models.Model):
    """One pass of one version over a dataset or a part of it.

    That of a challenger beside a champion's (`shadow_of`) keeps the scores on which the two disagree, and no others. A
    live one grows through its `day` (UTC) as sequences close, and keeps the scores of the anomalous ones.
    `drift` is how far the scores and templates lie from the version's reference (`detection.engine.drift`).
    """

    project = models.SlugField(_("project"), default="default")
    version = models.ForeignKey(ModelVersion, models.CASCADE, related_name="scans", verbose_name=_("version"))
    dataset = models.ForeignKey("logs.Dataset", models.CASCADE, related_name="scans", verbose_name=_("dataset"))
    part = models.CharField(_("part"), max_length=50, blank=True)
    threshold = models.FloatField(_("threshold"))
    sequences = models.PositiveBigIntegerField(_("sequences"))
    anomalous = models.PositiveBigIntegerField(_("anomalous"))
    shadow_of = models.ForeignKey(
        "self", models.CASCADE, null=True, blank=True, related_name="shadows", verbose_name=_("shadow of")
    )
    drift = models.JSONField(_("drift"), default=dict)
    run = models.OneToOneField("workers.Run", models.SET_NULL, null=True, blank=True, verbose_name=_("run"))
    day = models.DateField(_("day, of a live scan"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())

    class Meta:
        verbose_name = _("scan")
        verbose_name_plural = _("scans")
        ordering = ["-created_at"]
        constraints = [
            # A day may see several shadows beside one champion, and a shadow become the champion.
            models.UniqueConstraint(
                fields=["dataset", "version", "day", "threshold"],
                condition=Q(day__isnull=False, shadow_of=None),
                name="scan_live",
            ),
            models.UniqueConstraint(
                fields=["shadow_of", "version", "threshold"], condition=Q(day__isnull=False), name="scan_live_shadow"
            ),
            models.UniqueConstraint(fields=["shadow_of"], condition=Q(day=None), name="scan_shadow"),
        ]

    def __str__(self) -> str:
        named = f"{self.version} × {self.dataset}"
        return gettext("%(scan)s, live, %(day)s") % {"scan": named, "day": self.day} if self.day else named


class Score(models.Model):
    """What a scan says about one sequence; `blame` holds one weight a line, for anomalous ones only."""

    id = models.BigAutoField(primary_key=True)
    scan = models.ForeignKey(Scan, models.CASCADE, related_name="scores", verbose_name=_("scan"))
    sequence = models.ForeignKey("logs.Sequence", models.CASCADE, related_name="scores", verbose_name=_("sequence"))
    value = models.FloatField(_("score"))
    anomalous = models.BooleanField(_("anomalous"))
    blame = ArrayField(models.FloatField(), null=True, blank=True, verbose_name=_("blame"))

    class Meta:
        verbose_name = _("score")
        verbose_name_plural = _("scores")
        constraints = [models.UniqueConstraint(fields=["scan", "sequence"], name="score_once")]
        indexes = [models.Index(fields=["scan", "-value"], condition=Q(anomalous=True), name="score_anomalous")]

    def __str__(self) -> str:
        return f"{self.value:.3f}"


class NewScore(models.Model):
    """An anomalous score of a live scan that nobody has taken up; whoever opens findings deletes it as it does."""

    score = models.OneToOneField(Score, models.CASCADE, primary_key=True)

    def __str__(self) -> str:
        return str(self.pk)
