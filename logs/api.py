"""REST: projects and datasets, with their sequences, splits and quarantine; import and export of files."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.http import FileResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from psycopg.errors import QueryCanceled
from rest_framework import mixins, parsers, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from duolog import access
from duolog.api import NestedViewSet, Problem, ProjectViewSet, Unprocessable
from duolog.models import Role
from logs import browse, labels, statistics, templates_api, transfer
from logs.models import Dataset, Gap, Project, QuarantinedRow, Sequence, Split
from workers.api import RunSerializer

SEARCH_MILLISECONDS = 10_000


class ProjectSerializer(serializers.ModelSerializer[Project]):
    """A tenant."""

    class Meta:
        model = Project
        fields = ["slug", "name", "remote_analysts", "created_at"]
        read_only_fields = ["created_at"]


class ProjectSettings(serializers.ModelSerializer[Project]):
    """What an owner decides; `remote_analysts`: whether lines may be sent to analysts on other machines."""

    class Meta:
        model = Project
        fields = ["remote_analysts"]


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """A named collection of sequences; `run` last wrote into it."""

    project = serializers.SlugRelatedField(slug_field="slug", queryset=Project.objects.all())

    class Meta:
        model = Dataset
        fields = ["id", "project", "name", "note", "run", "created_at"]
        read_only_fields = ["run", "created_at"]

    def validate_project(self, project: Project) -> Project:
        """Let engineers of the project create datasets, and let nobody else learn that it exists."""
        user = self.context["request"].user
        if not access.visible(user, Project.objects.filter(pk=project.pk), "slug").exists():
            self.fields["project"].fail("does_not_exist", slug_name="slug", value=project.slug)
        access.require(user, Role.ENGINEER, project.slug)
        return project


class SequenceSerializer(serializers.ModelSerializer[Sequence]):
    """A sequence with the label that counts: 0 normal, 1 anomalous, null nobody said."""

    label: Any = serializers.IntegerField(read_only=True, allow_null=True)
    type = serializers.CharField(read_only=True, allow_null=True)

    class Meta:
        model = Sequence
        fields = [
            "id",
            "key",
            "label",
            "type",
            "length",
            "entries",
            "times",
            "meta",
            "origin",
            "started_at",
            "ended_at",
            "created_at",
        ]
        read_only_fields = fields


class SplitSerializer(serializers.ModelSerializer[Split]):
    """One part of a division of the dataset; `sequences` is how many it holds."""

    sequences = serializers.IntegerField(read_only=True)

    class Meta:
        model = Split
        fields = [
            "id",
            "revision",
            "name",
            "strategy",
            "seed",
            "sequences",
            "sha256",
            "leakage",
            "lineage",
            "run",
            "created_at",
        ]


class GapSerializer(serializers.ModelSerializer[Gap]):
    """How far the dataset, a synthetic one, is from a real one.

    `auc`: telling samples apart, by what (0.5: impossible, null: not told), `limit`: from where it counts, `coverage`
    of real lines, `transfer`: figures on real sequences by what was trained on, `options` of the generator that help.
    """

    real_name = serializers.CharField(source="real.name", read_only=True)

    class Meta:
        model = Gap
        fields = ["id", "real", "real_name", "values", "run", "measured_at"]
        read_only_fields = fields


class StatisticsSerializer(serializers.Serializer[Any]):
    """What a dataset holds.

    While `state` is `computing`, a `run` counts, and `values` are those of what the dataset held before (null: of
    nothing yet); ask again. `failed` means that the run did; `empty` that there is nothing to count.
    """

    state = serializers.CharField(help_text="empty, ready, computing, failed")
    computed_at = serializers.DateTimeField(allow_null=True)
    run = serializers.UUIDField(source="run.pk", allow_null=True, default=None)
    values = serializers.JSONField(
        allow_null=True,
        help_text=str(
            _(
                "sequences, lines, distinct_lines (templates), labels with types, lengths, services by type, "
                "languages, growth of the templates as [lines read, distinct], duplicates"
            )
        ),
    )


class QuarantinedRowSerializer(serializers.ModelSerializer[QuarantinedRow]):
    """A row that could not be understood, and why, in the language of the request."""

    reason = serializers.CharField(source="why", read_only=True)

    class Meta:
        model = QuarantinedRow
        fields = ["id", "run", "file", "row", "reason", "excerpt", "created_at"]


class Upload(serializers.Serializer[Any]):
    """A file of log sequences; the format is found out unless it is named. `options` are the format's, as JSON."""

    file = serializers.FileField()
    format = serializers.CharField(default="auto")
    options = serializers.JSONField(default=dict)

    def validate_options(self, value: Any) -> dict[str, Any]:
        """Take an object only."""
        if not isinstance(value, dict):
            raise serializers.ValidationError(gettext("This is no JSON object."))
        return value


class ProjectsViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Projects that the caller is a member of."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer
    project_field = "slug"
    lookup_field = "slug"
    lookup_value_converter = "slug"

    @extend_schema(request=ProjectSettings, responses=ProjectSerializer)
    def partial_update(self, request: Request, slug: str) -> Response:
        """Change what an owner decides."""
        project: Project = self.get_object()
        self.require(Role.OWNER, project.slug)
        wanted = ProjectSettings(project, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        wanted.save()
        return Response(ProjectSerializer(project).data)


class DatasetViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Datasets, newest first."""

    queryset = Dataset.objects.select_related("project")
    serializer_class = DatasetSerializer
    project_field = "project__slug"
    filterset_fields = {"project__slug": ["exact"], "name": ["exact"]}
    lookup_value_converter = "int"

    @extend_schema(request=Upload, responses={202: RunSerializer, 422: Problem})
    @action(detail=True, methods=["post"], url_path="import", parser_classes=[parsers.MultiPartParser])
    def import_file(self, request: Request, pk: int) -> Response:
        """Upload a file and queue the run that imports it."""
        dataset: Dataset = self.get_object()
        self.require(Role.ENGINEER, dataset.project.slug)
        wanted = Upload(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        run = transfer.import_upload(
            dataset, data["file"], format=data["format"], options=data["options"], user=access.person(request)
        )
        return Response(RunSerializer(run).data, status.HTTP_202_ACCEPTED)

    @extend_schema(responses=StatisticsSerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def statistics(self, request: Request, pk: int) -> Response:
        """Tell what the dataset holds: labels, lengths, services, languages, templates, duplicates."""
        dataset: Dataset = self.get_object()
        return Response(StatisticsSerializer(statistics.shown(dataset, statistics.content(dataset))).data)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "format", str, description=str(_("name of a format, such as seed, training, jsonl or csv"))
            ),
            OpenApiParameter("part", str, description=str(_("part of the newest split, such as test"))),
        ],
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)},
    )
    @action(detail=True, filter_backends=[], pagination_class=None)
    def export(self, request: Request, pk: int) -> FileResponse:
        """Download the dataset, or one part of it, as a file."""
        dataset = get_object_or_404(self.get_queryset(), pk=pk)
        name, part = request.query_params.get("format", "jsonl"), request.query_params.get("part") or None
        return browse.download(dataset, format=name, part=part)


class OfDataset(mixins.ListModelMixin, NestedViewSet):
    """Rows of one dataset."""

    parent = "dataset"
    project_field = "dataset__project__slug"
    ordering = "id"


class SequenceFilter(django_filters.FilterSet):
    """What to look for in a dataset."""

    label = django_filters.ChoiceFilter(
        choices=browse.LABELS, method="by_label", label=str(_("normal, anomalous or none"))
    )
    search = django_filters.CharFilter(method="by_text", label=str(_("text in a line or in the sequence id")))

    def by_label(self, queryset: QuerySet[Sequence], name: str, value: str) -> QuerySet[Sequence]:
        """Keep sequences with this label."""
        return browse.with_label(queryset, value)

    def by_text(self, queryset: QuerySet[Sequence], name: str, value: str) -> QuerySet[Sequence]:
        """Keep sequences that hold this text."""
        return browse.containing(queryset, value)


class SequenceViewSet(mixins.RetrieveModelMixin, OfDataset):
    """The dataset's sequences in the order in which they were stored."""

    queryset = labels.counting(Sequence.objects.all())
    serializer_class = SequenceSerializer
    filterset_class = SequenceFilter
    lookup_value_converter = "int"

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List a page; a search that finds too little looks through the dataset, for so long and no longer."""
        if not request.query_params.get("search"):
            return super().list(request, *args, **kwargs)
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(SEARCH_MILLISECONDS)])
                return super().list(request, *args, **kwargs)
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            raise Unprocessable(_("The search took too long: narrow it by label, or ask for fewer rows.")) from error


class SplitViewSet(OfDataset):
    """Parts of the dataset's divisions."""

    queryset = Split.objects.defer("sequence_ids").annotate(sequences=browse.Cardinality("sequence_ids"))
    serializer_class = SplitSerializer
    filterset_fields = ["name", "revision"]


class GapViewSet(OfDataset):
    """How far the dataset is from real ones, one row each."""

    queryset = Gap.objects.select_related("real")
    serializer_class = GapSerializer
    filterset_fields = ["real"]


class QuarantineViewSet(OfDataset):
    """Rows of imports that made no sense, with the reason."""

    queryset = QuarantinedRow.objects.all()
    serializer_class = QuarantinedRowSerializer
    filterset_fields = ["run", "file"]


def register(router: BaseRouter) -> None:
    """Add this app's endpoints."""
    router.register("projects", ProjectsViewSet)
    router.register("datasets", DatasetViewSet)
    router.register("datasets/<int:dataset>/sequences", SequenceViewSet)
    router.register("datasets/<int:dataset>/splits", SplitViewSet)
    router.register("datasets/<int:dataset>/gaps", GapViewSet)
    router.register("datasets/<int:dataset>/quarantine", QuarantineViewSet)
    templates_api.register(router)
