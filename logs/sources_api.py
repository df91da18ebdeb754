"""REST: sources of lines with their receipts, newest lines, and the tokens that fill them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter
from rest_framework.utils.urls import replace_query_param

from duolog import access
from duolog.api import ProjectViewSet
from duolog.models import ApiToken, Role
from duolog.plugins.options import OptionsError
from logs import sources, storage
from logs.models import Project, Receipt, Source

LINES, MOST_LINES = 100, 1000
"""Lines on a page, and at most."""


class SourceChange(serializers.ModelSerializer[Source]):
    """What can be changed of a source; its name cannot, since tokens name it."""

    class Meta:
        model = Source
        fields = ["rule", "days", "judged", "model"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"days": {"min_value": 1, "max_value": sources.MOST_DAYS}}

    def validate_rule(self, value: Any) -> dict[str, Any]:
        """Take options of `logs.engine.sequencing.Rule` only."""
        if not isinstance(value, dict):
            raise serializers.ValidationError(gettext("This is no JSON object."))
        try:
            return sources.checked(value)
        except OptionsError as error:
            raise serializers.ValidationError(str(error)) from error


class SourceSerializer(SourceChange):
    """A feed of lines: the `rule` by which they become sequences of its `dataset`, and the `days` that they are kept.

    `rule`: `by` (session, gap, time, count), `key`, `seconds`, `size`, `stride`, `lateness`, `most`. `model` empty: the
    project's champion judges. `watermark` is the latest time that a line had (Unix seconds).
    """

    project = serializers.SlugRelatedField(slug_field="slug", queryset=Project.objects.all())

    class Meta(SourceChange.Meta):
        fields = ["id", "project", "name", "dataset", *SourceChange.Meta.fields, "watermark", "created_at"]
        read_only_fields = ["dataset", "watermark", "created_at"]

    def validate_project(self, project: Project) -> Project:
        """Let engineers of the project make sources, and let nobody else learn that it exists."""
        user = self.context["request"].user
        if not access.visible(user, Project.objects.filter(pk=project.pk), "slug").exists():
            self.fields["project"].fail("does_not_exist", slug_name="slug", value=project.slug)
        access.require(user, Role.ENGINEER, project.slug)
        return project

    def create(self, validated_data: dict[str, Any]) -> Source:
        """Make the source, and a dataset with it."""
        return sources.create(**{**validated_data, "project": validated_data["project"].slug})


class StandingSerializer(serializers.Serializer[Any]):
    """How a source keeps up: lines in sequences, sequences judged."""

    hour = serializers.IntegerField(help_text=str(_("lines received in the last hour")))
    day = serializers.IntegerField(help_text=str(_("lines received in the last day")))
    last = serializers.DateTimeField(allow_null=True, help_text=str(_("last receipt of that day")))
    waiting = serializers.IntegerField(help_text=str(_("lines that are in no sequence yet")))
    oldest = serializers.DateTimeField(allow_null=True, help_text=str(_("when the oldest of them was received")))
    open = serializers.IntegerField(help_text=str(_("sequences that may still get lines")))
    unjudged = serializers.IntegerField(help_text=str(_("closed sequences that no model has judged yet")))


class ReceiptSerializer(serializers.ModelSerializer[Receipt]):
    """What became of one batch; `repeats` counts how often it was sent again, `redacted` what was made unreadable."""

    class Meta:
        model = Receipt
        fields = ["id", "receiver", "lines", "rejected", "repeats", "redacted", "received_at"]


class ShipperTokenSerializer(serializers.ModelSerializer[ApiToken]):
    """A token that sends lines into the source and does nothing else."""

    user = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "user", "lines_per_second", "created_at", "expires_at", "used_at"]
        read_only_fields = ["created_at", "used_at"]


class IssuedToken(ShipperTokenSerializer):
    """A new token with its text, which nobody can read again."""

    token = serializers.CharField()

    class Meta(ShipperTokenSerializer.Meta):
        fields = [*ShipperTokenSerializer.Meta.fields, "token"]


class SourceViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Sources of lines, newest first. They are also made by the first lines of a token that names them."""

    queryset = Source.objects.select_related("project")
    serializer_class = SourceSerializer
    project_field = "project__slug"
    filterset_fields = {"project__slug": ["exact"], "name": ["exact"]}
    lookup_value_converter = "int"

    @extend_schema(request=SourceChange, responses=SourceSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change the rule, the days, or who judges; lines that are in sequences stay there."""
        source: Source = self.get_object()
        self.require(Role.ENGINEER, source.project.slug)
        wanted = SourceChange(source, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        wanted.save()
        return Response(self.get_serializer(source).data)

    @extend_schema(responses=StandingSerializer)
    @action(detail=True, filter_backends=[], pagination_class=None)
    def standing(self, request: Request, pk: int) -> Response:
        """Tell how many lines came in, and how many wait."""
        source: Source = self.get_object()
        return Response(StandingSerializer(sources.standings([source])[source.pk]).data)


class OfSource(ProjectViewSet):
    """Rows of one source, for those who hold `role` on its project; `field` leads from a row to the source."""

    field: ClassVar[str] = "source"
    project_field = "source__project__slug"
    role: ClassVar[Role] = Role.VIEWER

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find the source before all else; raise 404 if it is not the caller's to see, 403 if their role is too low."""
        super().initial(request, *args, **kwargs)
        mine = access.visible(self.request.user, Source.objects.select_related("project"), "project__slug")
        self.source: Source = get_object_or_404(mine, pk=self.kwargs["source"])
        self.require(self.role, self.source.project.slug)

    def get_queryset(self) -> QuerySet[Any]:
        """Narrow to the source's rows."""
        rows: QuerySet[Any] = super().get_queryset()
        return rows.none() if getattr(self, "swagger_fake_view", False) else rows.filter(**{self.field: self.source})


class ReceiptViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OfSource):
    """What became of the source's batches, newest first."""

    queryset = Receipt.objects.all()
    serializer_class = ReceiptSerializer
    filterset_fields = {"received_at": ["gte", "lte"], "rejected": ["gt"], "receiver": ["exact"]}
    lookup_value_converter = "uuid"
    ordering = "-received_at"


class StoredLineSerializer(serializers.Serializer[Any]):
    """A line as it was received, redacted; `attributes` is what the shipper told beside it."""

    chunk = serializers.IntegerField()
    place = serializers.IntegerField()
    time = serializers.FloatField(help_text=str(_("Unix seconds")))
    text = serializers.CharField()
    service = serializers.CharField()
    level = serializers.CharField()
    attributes = serializers.SerializerMethodField()

    def get_attributes(self, line: storage.Line) -> dict[str, str]:
        """Names and values."""
        return msgspec.json.decode(line.attributes, type=dict[str, str]) if line.attributes else {}


class LineViewSet(OfSource):
    """The source's lines as they were received, newest first."""

    queryset = Source.objects.none()  # lines are no rows
    serializer_class = StoredLineSerializer
    pagination_class = None
    filter_backends = ()
    role = Role.REVIEWER

    @extend_schema(
        parameters=[
            OpenApiParameter("after", str, description=str(_("where the page before ended, of its `next`"))),
            OpenApiParameter("page_size", int, description=str(_("lines on a page"))),
        ],
        responses=inline_serializer(
            "StoredLines",
            {"next": serializers.URLField(allow_null=True), "results": StoredLineSerializer(many=True)},
        ),
    )
    def list(self, request: Request, source: int) -> Response:
        """List a page."""
        asked = LinePage(data=request.query_params)
        asked.is_valid(raise_exception=True)
        count, after = asked.validated_data["page_size"], asked.validated_data.get("after")
        found = storage.newest(self.source, count, after)
        following = None
        if len(found) == count:
            place = f"{found[-1].chunk}.{found[-1].place}"
            following = replace_query_param(request.build_absolute_uri(), "after", place)
        return Response({"next": following, "results": StoredLineSerializer(found, many=True).data})


class LinePage(serializers.Serializer[Any]):
    """Where a page of lines begins, and how long it is."""

    after = serializers.RegexField(r"^\d{1,18}\.\d{1,9}$", required=False)
    page_size = serializers.IntegerField(default=LINES, min_value=1, max_value=MOST_LINES)

    def validate_after(self, value: str) -> tuple[int, int]:
        """Return chunk and place."""
        chunk, _dot, place = value.partition(".")
        return int(chunk), int(place)


class ShipperTokenViewSet(mixins.ListModelMixin, OfSource):
    """Tokens of shippers that fill the source, newest first; for engineers of the project."""

    queryset = ApiToken.objects.all()
    serializer_class = ShipperTokenSerializer
    role = Role.ENGINEER
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[ApiToken]:
        """Narrow to the source's."""
        return ApiToken.objects.none() if getattr(self, "swagger_fake_view", False) else sources.tokens(self.source)

    @extend_schema(responses={201: IssuedToken})
    def create(self, request: Request, source: int) -> Response:
        """Issue a token; its text is in this answer, and nowhere else."""
        wanted, into = self.get_serializer(data=request.data), self.source
        wanted.is_valid(raise_exception=True)
        text = access.issue_token(
            user=access.person(request), project=into.project.slug, source=into.name, **wanted.validated_data
        )
        issued = ShipperTokenSerializer(access.find_token(text, shipper=True)).data
        return Response({**issued, "token": text}, status.HTTP_201_CREATED)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, source: int, pk: int) -> Response:
        """Revoke a token: within seconds nobody sends with it any more."""
        self.get_object().delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


def register(router: BaseRouter) -> None:
    """Add the endpoints of sources."""
    router.register("sources", SourceViewSet)
    router.register("sources/<int:source>/receipts", ReceiptViewSet)
    router.register("sources/<int:source>/lines", LineViewSet, basename="line-of-source")
    router.register("sources/<int:source>/tokens", ShipperTokenViewSet)
