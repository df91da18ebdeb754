"""REST: what a source rejected, to be looked at, replayed as plain lines, or deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from duolog.models import Role
from logs import sources
from logs.models import RejectedRecord
from logs.sources_api import OfSource


class RejectedRecordSerializer(serializers.ModelSerializer[RejectedRecord]):
    """A record that made no sense, and why, in the language of the request."""

    reason = serializers.CharField(source="why", read_only=True)
    received_at = serializers.DateTimeField(source="receipt.received_at", read_only=True)

    class Meta:
        model = RejectedRecord
        fields = ["id", "receipt", "row", "reason", "text", "received_at"]


class Chosen(serializers.Serializer[Any]):
    """Which records: those of `ids`, those of one `receipt`, or `all` of the source."""

    ids: Any = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), max_length=10_000, required=False
    )
    receipt = serializers.UUIDField(required=False)
    all = serializers.BooleanField(default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to guess: what was forgotten must not mean everything."""
        if sum([attrs["all"], "ids" in attrs, "receipt" in attrs]) != 1:
            raise serializers.ValidationError(gettext("Say which records: ids, or receipt, or all."))
        return attrs

    def of(self, records: QuerySet[RejectedRecord]) -> QuerySet[RejectedRecord]:
        """Narrow to what was chosen."""
        asked = self.validated_data
        if asked["all"]:
            return records
        return records.filter(pk__in=asked["ids"]) if "ids" in asked else records.filter(receipt=asked["receipt"])


class Dealt(serializers.Serializer[Any]):
    """How many records were dealt with, and how many of the source are `left`."""

    count = serializers.IntegerField()
    left = serializers.IntegerField()


class RejectedRecordViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OfSource):
    """Records that made no sense, newest first: to be replayed as plain lines, or deleted."""

    queryset = RejectedRecord.objects.select_related("receipt")
    serializer_class = RejectedRecordSerializer
    filterset_fields = ["receipt"]
    field = "receipt__source"
    project_field = "receipt__source__project__slug"
    role = Role.REVIEWER
    lookup_value_converter = "int"

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, source: int, pk: int) -> Response:
        """Delete a record."""
        record: RejectedRecord = self.get_object()
        self.require(Role.ENGINEER, self.source.project.slug)
        record.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=Dealt, operation_id="sources_rejected_records_replay_one")
    @action(detail=True, methods=["post"], url_path="replay", url_name="replay-one")
    def replay_one(self, request: Request, source: int, pk: int) -> Response:
        """Store a record's text as a plain line of the time of its receipt, and delete the record."""
        return self._replay(RejectedRecord.objects.filter(pk=self.get_object().pk))

    @extend_schema(request=Chosen, responses=Dealt)
    @action(detail=False, methods=["post"], filter_backends=[], pagination_class=None)
    def replay(self, request: Request, source: int) -> Response:
        """Replay the chosen records, 10,000 in a request at most; `left` tells whether to ask again."""
        return self._replay(self._chosen(request))

    @extend_schema(request=Chosen, responses=Dealt)
    @action(detail=False, methods=["post"], url_path="delete", filter_backends=[], pagination_class=None)
    def discard(self, request: Request, source: int) -> Response:
        """Delete the chosen records."""
        records = self._chosen(request)
        self.require(Role.ENGINEER, self.source.project.slug)
        return self._dealt(records.delete()[0])

    def _chosen(self, request: Request) -> QuerySet[RejectedRecord]:
        records = sources.rejected(self.source)
        wanted = Chosen(data=request.data)
        wanted.is_valid(raise_exception=True)
        return wanted.of(records)

    def _replay(self, records: QuerySet[RejectedRecord]) -> Response:
        self.require(Role.ENGINEER, self.source.project.slug)
        return self._dealt(sources.replay(self.source, records))

    def _dealt(self, count: int) -> Response:
        return Response(Dealt({"count": count, "left": sources.rejected(self.source).count()}).data)


def register(router: BaseRouter) -> None:
    """Add the endpoint of rejected records."""
    router.register("sources/<int:source>/rejected-records", RejectedRecordViewSet)
