"""REST: findings, and what people decide on them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import django_filters
from django.db.models import Prefetch, QuerySet
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import alerts_api, jobs, muting_api, reports, reports_api, review, review_api
from analysis.models import Finding
from analysis.reports_api import BulkWish, Verdict, Wish
from duolog import access
from duolog.api import ProjectViewSet
from duolog.models import Role
from workers.api import RunSerializer


class FindingSerializer(serializers.ModelSerializer[Finding]):
    """An anomalous sequence with its score, its lines and the weight of each line in the score (`blame`).

    `report` is what its newest finished report says in short (null: there is none).
    """

    score = serializers.FloatField(source="score.value", read_only=True)
    threshold = serializers.FloatField(source="score.scan.threshold", read_only=True)
    scan = serializers.IntegerField(source="score.scan_id", read_only=True)
    model = serializers.CharField(source="score.scan.version", read_only=True)
    dataset = serializers.IntegerField(source="score.sequence.dataset_id", read_only=True)
    sequence = serializers.IntegerField(source="score.sequence_id", read_only=True)
    sequence_id = serializers.CharField(source="score.sequence.key", read_only=True)
    entries: Any = serializers.ListField(source="score.sequence.entries", child=serializers.CharField(), read_only=True)
    times: Any = serializers.ListField(
        source="score.sequence.times", child=serializers.FloatField(), read_only=True, allow_null=True
    )
    blame: Any = serializers.ListField(
        source="score.blame", child=serializers.FloatField(), read_only=True, allow_null=True
    )
    report = serializers.SerializerMethodField()

    class Meta:
        model = Finding
        fields = [
            "id",
            "project",
            "state",
            "report",
            "score",
            "threshold",
            "scan",
            "model",
            "dataset",
            "sequence",
            "sequence_id",
            "entries",
            "times",
            "blame",
            "created_at",
        ]
        read_only_fields = ["id", "project", "created_at"]

    @extend_schema_field(Verdict(allow_null=True))
    def get_report(self, finding: Any) -> dict[str, Any] | None:
        """Return the one that the view has fetched for all findings at once."""
        return Verdict(finding.newest[0]).data if finding.newest else None


class Decision(serializers.Serializer[Any]):
    """Where the finding stands now."""

    state = serializers.ChoiceField(choices=Finding.State.choices)


class FindingFilter(django_filters.FilterSet):
    """Which findings."""

    after = django_filters.NumberFilter(
        method="newer", min_value=0, max_value=2**63 - 1,
        label=str(_("findings opened after that of this id, oldest first: ask again with the last id you saw")),
    )  # fmt: skip

    class Meta:
        model = Finding
        fields: ClassVar[dict[str, list[str]]] = {
            "project": ["exact"],
            "state": ["exact"],
            "score__scan": ["exact"],
            "score__sequence__dataset": ["exact"],
            "score__value": ["gte"],
        }

    def newer(self, findings: QuerySet[Finding], name: str, value: Decimal) -> QuerySet[Finding]:
        """Leave those opened later: numbers become visible in their order (`analysis.findings`)."""
        return findings.filter(pk__gt=int(value))


class FindingViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Findings, newest first; with `after`, for those who poll, oldest first."""

    queryset = Finding.objects.select_related("score__sequence", "score__scan__version").prefetch_related(
        Prefetch("reports", reports.finished(), to_attr="newest")
    )
    serializer_class = FindingSerializer
    filterset_class = FindingFilter
    lookup_value_converter = "int"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Choose the order."""
        super().initial(request, *args, **kwargs)
        if "after" in request.query_params:
            self.ordering = "id"  # type: ignore[misc]  # of this request

    @extend_schema(request=Decision, responses=FindingSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Confirm, dismiss or reopen the finding."""
        finding: Finding = self.get_object()
        self.require(Role.REVIEWER, finding.project)
        wanted = Decision(data=request.data)
        wanted.is_valid(raise_exception=True)
        review.decide(user=access.person(request), finding=finding, state=wanted.validated_data["state"])
        return Response(FindingSerializer(self.get_object()).data)

    @extend_schema(responses=OpenApiTypes.OBJECT)
    @action(detail=True)
    def report(self, request: Request, pk: int) -> Response:
        """Return the newest finished report; its JSON schema stands under /schemas/report/."""
        if not (newest := self.get_object().newest):
            raise Http404
        return Response(reports.document(newest[0]))

    @extend_schema(request=Wish, responses={202: RunSerializer})
    @action(detail=True, methods=["post"])
    def explain(self, request: Request, pk: int) -> Response:
        """Have an analyst explain the finding; answer with the run that does."""
        finding: Finding = self.get_object()
        return self._explain(request, Wish(data=request.data), {"project": finding.project, "findings": [finding.pk]})

    @extend_schema(operation_id="findings_explain_many", request=BulkWish, responses={202: RunSerializer})
    @action(detail=False, methods=["post"], url_path="explain")
    def explain_many(self, request: Request) -> Response:
        """Have an analyst explain many findings, in runs of some dozens; answer with the first run."""
        return self._explain(request, BulkWish(data=request.data), {})

    def _explain(self, request: Request, wish: Wish, which: dict[str, Any]) -> Response:
        wish.is_valid(raise_exception=True)
        asked = {**wish.validated_data, **which}
        self.require(Role.REVIEWER, asked["project"])
        run = jobs.explain(**asked, user=access.person(request))
        return Response(RunSerializer(run).data, status.HTTP_202_ACCEPTED)


def register(router: BaseRouter) -> None:
    """Add this app's endpoints."""
    router.register("findings", FindingViewSet)
    reports_api.register(router)
    alerts_api.register(router)
    review_api.register(router)
    muting_api.register(router)
