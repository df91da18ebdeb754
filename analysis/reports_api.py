"""REST: reports on findings, what they took, and how one asks for them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, get_args

import django_filters
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import usage
from analysis.models import AnomalyReport
from duolog.api import ProjectViewSet
from duolog.plugins.types import Language
from logs.engine import taxonomy

MOST = 1000
"""Findings that one request may name."""
LANGUAGES = get_args(Language)


class ReportSerializer(serializers.ModelSerializer[AnomalyReport]):
    """What an analyst says about a finding; `evidence`, whose lines count from 1, and `texts` are as in the schema.

    `claims` are all that it claimed, with whether they stand in the lines, and `grounded` the share of those that do.
    """

    project = serializers.SlugField(source="finding.project", read_only=True)

    class Meta:
        model = AnomalyReport
        fields = [
            "id",
            "project",
            "finding",
            "state",
            "analyst",
            "version",
            "copy_of",
            "anomalous",
            "category",
            "type",
            "severity",
            "confidence",
            "evidence",
            "texts",
            "claims",
            "grounded",
            "draft",
            "error",
            "model",
            "prompt_tokens",
            "completion_tokens",
            "seconds",
            "cost",
            "run",
            "created_at",
        ]
        read_only_fields = fields


class Verdict(serializers.ModelSerializer[AnomalyReport]):
    """The newest finished report on a finding in short; `summary` is told by language."""

    summary = serializers.SerializerMethodField()

    class Meta:
        model = AnomalyReport
        fields = ["id", "analyst", "anomalous", "category", "type", "severity", "confidence", "summary"]
        read_only_fields = fields

    def get_summary(self, row: AnomalyReport) -> dict[str, str]:
        """Return the summary in each language that the report is told in."""
        return {language: text["summary"] for language, text in row.texts.items()}


class Wish(serializers.Serializer[Any]):
    """How to explain: in which languages (none: the verdict alone), and by which analyst (none: the usual one)."""

    languages: Any = serializers.MultipleChoiceField(choices=LANGUAGES, default=set(LANGUAGES))
    analyst = serializers.CharField(default="", allow_blank=True, max_length=100)

    def validate_languages(self, value: set[str]) -> list[str]:
        """Keep their order."""
        return [language for language in LANGUAGES if language in value]


class BulkWish(Wish):
    """What to explain: findings by number, else the open ones without a report, of a scan or of the whole project."""

    project = serializers.SlugField(default="default")
    findings: Any = serializers.ListField(child=serializers.IntegerField(min_value=1), default=list, max_length=MOST)
    scan = serializers.IntegerField(default=None, allow_null=True, min_value=1)


class UsageSerializer(serializers.Serializer[Any]):
    """What an analyst's reports took on one day (UTC); `copied` ones cost nothing."""

    project = serializers.CharField()
    day = serializers.DateField()
    analyst = serializers.CharField()
    written = serializers.IntegerField()
    copied = serializers.IntegerField()
    failed = serializers.IntegerField()
    prompt_tokens = serializers.IntegerField()
    completion_tokens = serializers.IntegerField()
    seconds = serializers.FloatField()
    cost = serializers.FloatField()


class ReportFilter(django_filters.FilterSet):
    """Which reports."""

    project = django_filters.CharFilter(field_name="finding__project", label=str(_("project")))
    severity = django_filters.ChoiceFilter(
        choices=[(name, name) for name in taxonomy.SEVERITIES], label=str(_("severity"))
    )

    class Meta:
        model = AnomalyReport
        fields: ClassVar[list[str]] = ["project", "finding", "state", "analyst", "category", "type", "severity", "run"]


class ReportViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Reports, newest first, those that are being written or failed among them."""

    queryset = AnomalyReport.objects.select_related("finding")
    serializer_class = ReportSerializer
    filterset_class = ReportFilter
    project_field = "finding__project"
    lookup_value_converter = "int"


class Since(serializers.Serializer[Any]):
    """How far to look back."""

    project = serializers.SlugField(default="")
    days = serializers.IntegerField(default=30, min_value=1, max_value=366)


class UsageViewSet(ProjectViewSet):
    """Tokens, seconds and cost of reports by project, day (UTC) and analyst, the newest day first."""

    queryset = AnomalyReport.objects.all()
    serializer_class = UsageSerializer
    project_field = "finding__project"
    filter_backends = []
    pagination_class = None

    @extend_schema(parameters=[Since], responses=UsageSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Return one row a project, day and analyst."""
        asked = Since(data=request.query_params)
        asked.is_valid(raise_exception=True)
        day = datetime.now(UTC).date() - timedelta(days=asked.validated_data["days"] - 1)
        reports = self.get_queryset().filter(created_at__gte=datetime.combine(day, time(), UTC))
        if project := asked.validated_data["project"]:
            reports = reports.filter(finding__project=project)
        return Response(UsageSerializer(usage.daily(reports), many=True).data)


def register(router: BaseRouter) -> None:
    """Add the endpoints of reports."""
    router.register("reports", ReportViewSet)
    router.register("usage", UsageViewSet, basename="usage")
