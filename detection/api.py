"""REST: model versions with their aliases and scorecards, and scans with their scores."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from datetime import datetime
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from detection import aliases, charts, learning, shadow
from detection.models import AliasChange, ModelVersion, Scan, Score, Scorecard, ThresholdChange
from detection.monitoring import newest_drift
from duolog import access
from duolog.api import NestedViewSet, ProjectViewSet
from duolog.models import Role
from logs import datasets
from workers.api import RunSerializer


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A fitted detector or a fine-tuned analyst; `metrics` holds what it reached on each part it was measured on.

    Of an analyst, `detector` names its plugin and `encoder` its base; beside the parts, `metrics` has the figures of
    the training (`fit`) and what an attack got out of it (`privacy`).
    """

    aliases: Any = serializers.SlugRelatedField(slug_field="alias", many=True, read_only=True)

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "project",
            "name",
            "number",
            "kind",
            "aliases",
            "detector",
            "distribution",
            "distribution_version",
            "options",
            "encoder",
            "encoder_digest",
            "temperature",
            "threshold",
            "policy",
            "metrics",
            "lineage",
            "sha256",
            "run",
            "created_at",
        ]


class NewAlias(serializers.Serializer[Any]):
    """The alias that shall point to this version; a reason overrides what speaks against a champion."""

    alias = serializers.SlugField(max_length=50)
    reason = serializers.CharField(default="", allow_blank=True, max_length=500)


class Back(serializers.Serializer[Any]):
    """The alias of this version's name that shall point again to what it pointed to before."""

    alias = serializers.SlugField(max_length=50, default=aliases.CHAMPION)
    reason = serializers.CharField(default="", allow_blank=True, max_length=500)


class AliasChangeSerializer(serializers.ModelSerializer[AliasChange]):
    """An alias pointed to a version from `set_at` to `until` (null: it still does)."""

    model = serializers.CharField(source="version", read_only=True)
    until = serializers.DateTimeField(read_only=True, allow_null=True)
    set_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = AliasChange
        fields = [
            "id",
            "project",
            "name",
            "alias",
            "version",
            "model",
            "rollback",
            "reason",
            "problems",
            "set_at",
            "until",
            "set_by",
        ]


class ThresholdChangeSerializer(serializers.ModelSerializer[ThresholdChange]):
    """The threshold of a version was chosen anew."""

    set_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = ThresholdChange
        fields = ["id", "before", "threshold", "policy", "reason", "run", "set_at", "set_by"]


class PlotsSerializer(serializers.Serializer[Any]):
    """The arrays behind the plots, by part; `false_alarms` beside what the threshold promises; `training` curves.

    `routing` has, by part, the `load` of each expert of the small model, over all and by type (`types`), how many
    `fired` in a sequence on average, and the numbers (from 0) of the `collapsed`, with less than 1 % of the work.
    `learning` holds by dataset what the version's recipe reaches with none, few and all labels.
    """

    parts = serializers.JSONField()
    routing: Any = serializers.DictField(child=serializers.JSONField())
    false_alarms: Any = serializers.ListField(child=serializers.DictField())
    training: Any = serializers.DictField(child=serializers.ListField())
    learning = serializers.JSONField()
    thresholds = ThresholdChangeSerializer(many=True)


class NewsSerializer(serializers.Serializer[Any]):
    """Verdicts on a dataset that are new to a version, and whether it is time to learn from them."""

    dataset = serializers.CharField(source="dataset.name")
    verdicts = serializers.IntegerField()
    sequences = serializers.IntegerField()
    kinds = serializers.SerializerMethodField()
    suggested = serializers.BooleanField()

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_kinds(self, found: learning.News) -> list[dict[str, Any]]:
        """Anomalous or not, of which type, and how many verdicts on how many sequences say so."""
        return [asdict(kind) for kind in found.kinds]


class LearnFrom(serializers.Serializer[Any]):
    """The dataset whose new verdicts are to be learned from; without one, that with the most."""

    dataset = serializers.CharField(default="", allow_blank=True)


class MonitoringSerializer(serializers.Serializer[Any]):
    """`drift` as the newest scan saw it (null: none was compared), and the version's `shadow` record.

    `news` are verdicts that neither the version nor a newer one of its name has learned from.
    """

    drift: Any = serializers.DictField(allow_null=True)
    scan = serializers.IntegerField(allow_null=True)
    train_again = serializers.BooleanField()
    news = NewsSerializer(many=True)
    shadow: Any = serializers.DictField()


class ScorecardSerializer(serializers.ModelSerializer[Scorecard]):
    """What a version's recipe reaches under each protocol, and on disturbed lines."""

    model = serializers.CharField(source="version", read_only=True)

    class Meta:
        model = Scorecard
        fields = [
            "id",
            "project",
            "version",
            "model",
            "dataset",
            "seeds",
            "protocols",
            "instability",
            "run",
            "created_at",
        ]


class ScanSerializer(serializers.ModelSerializer[Scan]):
    """One pass of a version over a dataset; a live one grows through its `day` (UTC; null: it is no live one)."""

    model = serializers.CharField(source="version", read_only=True)

    class Meta:
        model = Scan
        fields = [
            "id",
            "project",
            "version",
            "model",
            "dataset",
            "part",
            "threshold",
            "sequences",
            "anomalous",
            "shadow_of",
            "drift",
            "day",
            "run",
            "created_at",
        ]


class ScoreSerializer(serializers.ModelSerializer[Score]):
    """What a scan says about a sequence; `blame` has one weight a line, for anomalous ones."""

    sequence_id = serializers.CharField(source="sequence.key", read_only=True)

    class Meta:
        model = Score
        fields = ["id", "sequence", "sequence_id", "value", "anomalous", "blame"]


class ModelVersionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Model versions, newest first."""

    queryset = ModelVersion.objects.prefetch_related("aliases").defer("plots", "learning", "reference")
    serializer_class = ModelVersionSerializer
    filterset_fields = {
        "project": ["exact"],
        "name": ["exact"],
        "number": ["exact"],
        "kind": ["exact"],
        "detector": ["exact"],
        "aliases__alias": ["exact"],
    }
    lookup_value_converter = "int"

    @extend_schema(request=NewAlias, responses=ModelVersionSerializer)
    @action(detail=True, methods=["post"])
    def aliases(self, request: Request, pk: int) -> Response:
        """Let an alias such as `champion` point to this version from now on."""
        version: ModelVersion = self.get_object()
        self.require(Role.ENGINEER, version.project)
        wanted = NewAlias(data=request.data)
        wanted.is_valid(raise_exception=True)
        aliases.point(version, user=access.person(request), **wanted.validated_data)
        return Response(ModelVersionSerializer(self.get_object()).data)

    @extend_schema(request=Back, responses=ModelVersionSerializer)
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, pk: int) -> Response:
        """Let an alias of this version's name point again to what it pointed to before; answer with that version."""
        version: ModelVersion = self.get_object()
        self.require(Role.ENGINEER, version.project)
        wanted = Back(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = aliases.rollback(
            project=version.project, name=version.name, user=access.person(request), **wanted.validated_data
        )
        return Response(ModelVersionSerializer(row.version).data)

    @extend_schema(request=LearnFrom, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def learn(self, request: Request, pk: int) -> Response:
        """Have a new version learn from new verdicts and run as the shadow; asked for twice it is the same run."""
        version: ModelVersion = self.get_object()
        self.require(Role.ENGINEER, version.project)
        wanted = LearnFrom(data=request.data)
        wanted.is_valid(raise_exception=True)
        name = wanted.validated_data["dataset"]
        dataset = datasets.resolve(project=version.project, ref=name)[0] if name else None
        run = learning.start(version, dataset, user=access.person(request))
        return Response(RunSerializer(run).data, status.HTTP_202_ACCEPTED)

    @extend_schema(responses=PlotsSerializer)
    @action(detail=True)
    def plots(self, request: Request, pk: int) -> Response:
        """What the plots of the version's page are drawn from."""
        version: ModelVersion = self.get_object()
        training: dict[str, list[list[float]]] = defaultdict(list)
        if version.run:
            for name, step, value in version.run.metrics.order_by("name", "step").values_list("name", "step", "value"):
                training[name].append([step, value])
        found = {
            "parts": version.plots,
            "routing": {part: found["routing"] for part, found in version.metrics.items() if "routing" in found},
            "false_alarms": charts.promises(version),
            "training": training,
            "learning": version.learning,
            "thresholds": version.thresholds.select_related("set_by"),
        }
        return Response(PlotsSerializer(found).data)

    @extend_schema(responses=MonitoringSerializer)
    @action(detail=True)
    def monitoring(self, request: Request, pk: int) -> Response:
        """How the version does since it went live."""
        version: ModelVersion = self.get_object()
        seen = next(iter(newest_drift([version])), None)
        found = {
            "drift": seen.scan.drift if seen else None,
            "scan": seen.scan.pk if seen else None,
            "train_again": bool(seen and seen.suggests_training),
            "news": learning.news([version]),
            "shadow": shadow.record(version),
        }
        return Response(MonitoringSerializer(found).data)


class AliasChangeFilter(django_filters.FilterSet):
    """Which changes; `at` leaves those that held at a time: what was live then."""

    at = django_filters.IsoDateTimeFilter(method="held", label=str(_("what was live at this time")))

    class Meta:
        model = AliasChange
        fields = ["project", "name", "alias", "version"]

    def held(self, changes: QuerySet[AliasChange], name: str, at: datetime) -> QuerySet[AliasChange]:
        """Leave what held at a time."""
        return changes.filter(Q(until=None) | Q(until__gt=at), set_at__lte=at)


class AliasChangeViewSet(mixins.ListModelMixin, ProjectViewSet):
    """What aliases pointed to and when, who moved them and why; newest first, and never changed."""

    queryset = aliases.history(AliasChange.objects.select_related("version", "set_by"))
    serializer_class = AliasChangeSerializer
    filterset_class = AliasChangeFilter


class ScorecardViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Scorecards of model versions, newest first; make one with POST /runs/."""

    queryset = Scorecard.objects.select_related("version")
    serializer_class = ScorecardSerializer
    filterset_fields = ["project", "version", "dataset", "run"]
    lookup_value_converter = "int"


class ScanViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Scans, newest first; start one with POST /runs/."""

    queryset = Scan.objects.select_related("version")
    serializer_class = ScanSerializer
    filterset_fields = ["project", "version", "dataset", "part", "run", "shadow_of", "day"]
    lookup_value_converter = "int"


class ScoreFilter(django_filters.FilterSet):
    """Which scores of a scan."""

    least = django_filters.NumberFilter(field_name="value", lookup_expr="gte", label=str(_("score at least")))

    class Meta:
        model = Score
        fields = ["anomalous", "sequence", "least"]


class ScoreViewSet(mixins.ListModelMixin, NestedViewSet):
    """Scores of one scan, in the order of the dataset."""

    queryset: QuerySet[Score] = Score.objects.select_related("sequence").only(
        "id", "scan_id", "value", "anomalous", "blame", "sequence__key"
    )
    serializer_class = ScoreSerializer
    filterset_class = ScoreFilter
    parent = "scan"
    project_field = "scan__project"
    ordering = "id"


def register(router: BaseRouter) -> None:
    """Add this app's endpoints."""
    router.register("model-versions", ModelVersionViewSet)
    router.register("alias-changes", AliasChangeViewSet)
    router.register("scorecards", ScorecardViewSet)
    router.register("scans", ScanViewSet)
    router.register("scans/<int:scan>/scores", ScoreViewSet)
