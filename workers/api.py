"""REST: runs with all that belongs to them; start, cancel, repeat."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from duolog import access
from duolog.api import NestedViewSet, Problem, ProjectViewSet, Unprocessable
from duolog.models import Role
from duolog.plugins.options import as_json, build
from workers import jobs, runs
from workers.models import Artifact, Attempt, Line, Metric, Run

STARTABLE = ("generate", "split", "fit-detector", "evaluate", "scan", "learn")
"""Jobs that a client may start by name; the others read files of the server, and have endpoints of their own."""


class RunSerializer(serializers.ModelSerializer[Run]):
    """A run and how far it is: `share` (0 to 1) and `remaining` (seconds) are about the current stage."""

    share = serializers.FloatField(read_only=True)
    remaining = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "id",
            "project",
            "job",
            "queue",
            "options",
            "key",
            "status",
            "attempt",
            "max_attempts",
            "stage",
            "done",
            "total",
            "share",
            "remaining",
            "latest",
            "result",
            "error",
            "cancel_at",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.FLOAT)
    def get_remaining(self, run: Run) -> float | None:
        """Seconds, or None: not known."""
        return run.remaining.total_seconds() if run.remaining else None


class NewRun(serializers.Serializer[Any]):
    """A job to start, with its options."""

    project = serializers.SlugField(default="default")
    job = serializers.ChoiceField(choices=STARTABLE)
    options = serializers.DictField(default=dict)


class LineSerializer(serializers.ModelSerializer[Line]):
    """A line of the log."""

    class Meta:
        model = Line
        fields = ["id", "attempt", "at", "level", "text"]


class MetricSerializer(serializers.ModelSerializer[Metric]):
    """A point of a curve."""

    class Meta:
        model = Metric
        fields = ["name", "step", "value"]


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """A try by one worker."""

    class Meta:
        model = Attempt
        fields = ["number", "worker", "started_at", "finished_at", "outcome", "error"]


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    """A file or folder that the run left."""

    class Meta:
        model = Artifact
        fields = ["id", "attempt", "name", "step", "bytes", "sha256", "created_at"]


class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Runs, newest first."""

    queryset = Run.objects.all()
    serializer_class = RunSerializer
    ordering = "-created_at"
    filterset_fields = ["project", "job", "status", "queue", "key"]
    lookup_value_converter = "uuid"

    @extend_schema(
        request=NewRun,
        responses={202: RunSerializer, 422: Problem},
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                str,
                OpenApiParameter.HEADER,
                description="Asking again with the same key returns the run that the first request started.",
            )
        ],
    )
    def create(self, request: Request) -> Response:
        """Queue a run."""
        wanted = NewRun(data=request.data)
        wanted.is_valid(raise_exception=True)
        job, project, options = (wanted.validated_data[name] for name in ("job", "project", "options"))
        self.require(Role.ENGINEER, project)
        run = runs.enqueue(
            job=job,
            options=options,
            project=project,
            key=request.headers.get("Idempotency-Key"),
            user=access.person(request),
        )
        if run.options != as_json(build(jobs.find(job).options, options)):
            raise Unprocessable(gettext("This Idempotency-Key was used before, with other options."), "key_reused")
        return self._accepted(run)

    @extend_schema(request=None, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask the run to stop; a finished run stays as it is."""
        run = self._writable()
        runs.cancel(run)
        return self._accepted(run)

    @extend_schema(request=None, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def again(self, request: Request, pk: str) -> Response:
        """Queue a new run of the same job with the same options."""
        return self._accepted(runs.again(self._writable(), user=access.person(request)))

    def _writable(self) -> Run:
        run: Run = self.get_object()
        self.require(Role.ENGINEER, run.project)
        return run

    def _accepted(self, run: Run) -> Response:
        headers = {"Location": self.reverse_action("detail", args=[run.pk])}
        return Response(RunSerializer(run).data, status.HTTP_202_ACCEPTED, headers=headers)


class OfRun(mixins.ListModelMixin, NestedViewSet):
    """Rows of one run."""

    parent = "run"
    project_field = "run__project"
    ordering = "id"


class LineViewSet(OfRun):
    """The run's log, oldest line first."""

    queryset = Line.objects.all()
    serializer_class = LineSerializer
    filterset_fields = ["attempt", "level"]


class MetricViewSet(OfRun):
    """Points of the run's curves."""

    queryset = Metric.objects.all()
    serializer_class = MetricSerializer
    filterset_fields = ["name"]


class AttemptViewSet(OfRun):
    """Tries at the run."""

    queryset = Attempt.objects.all()
    serializer_class = AttemptSerializer


class ArtifactViewSet(OfRun):
    """What the run left in the artifact store."""

    queryset: QuerySet[Artifact] = Artifact.objects.all()
    serializer_class = ArtifactSerializer
    filterset_fields = ["name"]


def register(router: BaseRouter) -> None:
    """Add this app's endpoints."""
    router.register("runs", RunViewSet)
    router.register("runs/<uuid:run>/lines", LineViewSet)
    router.register("runs/<uuid:run>/metrics", MetricViewSet)
    router.register("runs/<uuid:run>/attempts", AttemptViewSet)
    router.register("runs/<uuid:run>/artifacts", ArtifactViewSet)
