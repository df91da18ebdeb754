"""REST: model versions with their aliases and scorecards, and scans with their scores."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from detection import versions
from detection.models import ModelVersion, Scan, Score, Scorecard
from duolog import access
from duolog.api import NestedViewSet, ProjectViewSet
from duolog.models import Role


class ModelVersionSerializer(serializers.ModelSerializer[ModelVersion]):
    """A fitted detector; `metrics` holds what it reached on each part it was measured on."""

    aliases: Any = serializers.SlugRelatedField(slug_field="alias", many=True, read_only=True)

    class Meta:
        model = ModelVersion
        fields = [
            "id",
            "project",
            "name",
            "number",
            "aliases",
            "detector",
            "distribution",
            "distribution_version",
            "options",
            "encoder",
            "encoder_digest",
            "threshold",
            "metrics",
            "lineage",
            "sha256",
            "run",
            "created_at",
        ]


class NewAlias(serializers.Serializer[Any]):
    """The alias that shall point to this version; `reason` overrides what speaks against a champion."""

    alias = serializers.SlugField(max_length=50)
    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


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
    """One pass of a version over a dataset."""

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

    queryset = ModelVersion.objects.prefetch_related("aliases")
    serializer_class = ModelVersionSerializer
    filterset_fields = {
        "project": ["exact"],
        "name": ["exact"],
        "number": ["exact"],
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
        versions.point(version, **wanted.validated_data, user=access.person(request))
        return Response(ModelVersionSerializer(self.get_object()).data)


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
    filterset_fields = ["project", "version", "dataset", "part", "run"]
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
    router.register("scorecards", ScorecardViewSet)
    router.register("scans", ScanViewSet)
    router.register("scans/<int:scan>/scores", ScoreViewSet)
