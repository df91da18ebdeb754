"""REST: items of review to Label Studio and doccano, and back."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import parsers, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import exchange
from analysis.engine.exchange import DOCCANO, FORMS
from analysis.models import Item
from duolog import access
from duolog.api import ProjectViewSet
from duolog.models import Role
from logs.reasons import shown


class OfProject(serializers.Serializer[Any]):
    """Which project's."""

    project = serializers.SlugField()


class Wanted(OfProject):
    """For which tool."""

    form = serializers.ChoiceField(choices=FORMS)


class AnnotationUpload(OfProject):
    """A file that Label Studio (JSON) or doccano (JSONL) exported; which of them it was is seen."""

    file = serializers.FileField()


class RowError(serializers.Serializer[Any]):
    """A row that was not taken, and why, in the language of the request."""

    row = serializers.IntegerField()
    reason = serializers.SerializerMethodField()
    excerpt = serializers.CharField()

    def get_reason(self, error: Any) -> str:
        """Tell it."""
        return shown(error.reason)


class TakenSerializer(serializers.Serializer[Any]):
    """What became of the rows: `unchanged` said what you had said, `unanswered` nothing; `errors` are of the first
    `failed` ones."""

    recorded = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    unanswered = serializers.IntegerField()
    failed = serializers.IntegerField()
    errors = RowError(many=True)  # type: ignore[assignment]  # a field that is called errors


class ExchangeViewSet(ProjectViewSet):
    """Items of review in the files of other tools."""

    queryset = Item.objects.all()
    serializer_class = TakenSerializer
    filter_backends = []
    pagination_class = None

    @extend_schema(
        parameters=[Wanted],
        responses={(200, "application/octet-stream"): OpenApiResponse(OpenApiTypes.BINARY)},
        operation_id="review_items_export",
    )
    @action(detail=False)
    def export(self, request: Request) -> StreamingHttpResponse:
        """Download the items of a project, with the verdicts on settled ones and your own on others."""
        wanted = self._asked(Wanted(data=request.query_params))
        project, form = wanted["project"], wanted["form"]
        suffix, kind = ("jsonl", "application/x-ndjson") if form == DOCCANO else ("json", "application/json")
        pieces = exchange.export(project=project, form=form, user=access.person(request))
        told = {"Content-Disposition": f'attachment; filename="{project}-{form}.{suffix}"'}
        return StreamingHttpResponse(pieces, content_type=kind, headers=told)

    @extend_schema(
        parameters=[OfProject],
        responses={(200, "application/xml"): OpenApiResponse(OpenApiTypes.STR)},
        operation_id="review_items_labelling_config",
    )
    @action(detail=False, url_path="labelling-config")
    def labelling_config(self, request: Request) -> HttpResponse:
        """Return the labelling configuration for a Label Studio project that takes the export."""
        wanted = self._asked(OfProject(data=request.query_params))
        return HttpResponse(exchange.labelling_config(project=wanted["project"]), content_type="application/xml")

    @extend_schema(request=AnnotationUpload, responses=TakenSerializer, operation_id="review_items_import")
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[parsers.MultiPartParser])
    def import_file(self, request: Request) -> Response:
        """Turn the answers in a file into your verdicts; the same file may be sent again."""
        wanted = self._asked(AnnotationUpload(data=request.data))
        user = access.person(request)
        taken = exchange.take(wanted["file"].file, project=wanted["project"], user=user)
        return Response(TakenSerializer(taken).data)

    def _asked(self, wanted: OfProject) -> Any:
        """Return what was asked for by somebody who may review in the project."""
        wanted.is_valid(raise_exception=True)
        self.require(Role.REVIEWER, wanted.validated_data["project"])
        return wanted.validated_data


def register(router: BaseRouter) -> None:
    """Add the endpoints."""
    router.register("review-items", ExchangeViewSet, basename="review-item-exchange")
