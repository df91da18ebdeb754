"""REST: how well a project's reviewers agree, and how far each can be trusted."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import agreement
from analysis.models import Verdict
from duolog.api import ProjectViewSet
from duolog.models import Role
from logs.reasons import shown


class Asked(serializers.Serializer[Any]):
    """Which project's verdicts, and since which day (UTC)."""

    project = serializers.SlugField()
    since = serializers.DateField(default=None, allow_null=True)


class FigureSerializer(serializers.Serializer[Any]):
    """A coefficient on so many `items`; null has its `reason`. `low` and `high` bound its 95 % interval, if known."""

    value = serializers.FloatField(allow_null=True)
    items = serializers.IntegerField()
    reason = serializers.SerializerMethodField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)

    def get_reason(self, figure: Any) -> str:
        """Tell it in the language of the request."""
        return shown(figure.reason)


class WholeSerializer(serializers.Serializer[Any]):
    """Krippendorff's alpha over all items, and Fleiss' kappa over those that `raters` people judged, as most were.

    On `agreed` of the `shared` items that several people judged all said the same; `low` to `high` is the 95 % interval
    of that share.
    """

    alpha = FigureSerializer()
    fleiss = FigureSerializer()
    raters = serializers.IntegerField()
    agreed = serializers.IntegerField()
    shared = serializers.IntegerField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class KindSerializer(serializers.Serializer[Any]):
    """A class against all others; `type` is "" of what is normal, or anomalous without a type."""

    anomalous = serializers.BooleanField()
    type = serializers.CharField()
    verdicts = serializers.IntegerField()
    alpha = FigureSerializer()


class PairSerializer(serializers.Serializer[Any]):
    """Cohen's kappa of two reviewers on what is anomalous; they said the same of `agreed` items."""

    first = serializers.IntegerField()
    second = serializers.IntegerField()
    agreed = serializers.IntegerField()
    kappa = FigureSerializer()


class ReviewerSerializer(serializers.Serializer[Any]):
    """A reviewer; `accuracy` is the expected share of their verdicts on the `shared` items that are right (Dawid and
    Skene), `seconds` the median that one takes; null: nothing is known."""

    user = serializers.IntegerField()
    name = serializers.CharField()
    verdicts = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True)
    shared = serializers.IntegerField()
    accuracy = serializers.FloatField(allow_null=True)


@extend_schema_serializer(many=False)
class AgreementSerializer(serializers.Serializer[Any]):
    """How a project's reviewers agree: `classes` on what is anomalous, `types` on what exactly it is."""

    verdicts = serializers.IntegerField()
    items = serializers.IntegerField()
    classes = WholeSerializer()
    types = WholeSerializer()
    kinds = KindSerializer(many=True)
    pairs = PairSerializer(many=True)
    reviewers = ReviewerSerializer(many=True)


class AgreementViewSet(ProjectViewSet):
    """Figures of the verdicts that count."""

    queryset = Verdict.objects.all()
    serializer_class = AgreementSerializer
    filter_backends = []
    pagination_class = None

    @extend_schema(parameters=[Asked], responses=AgreementSerializer, operation_id="agreement")
    def list(self, request: Request) -> Response:
        """Return the figures of one project."""
        asked = Asked(data=request.query_params)
        asked.is_valid(raise_exception=True)
        self.require(Role.VIEWER, asked.validated_data["project"])
        return Response(AgreementSerializer(agreement.measure(**asked.validated_data)).data)


def register(router: BaseRouter) -> None:
    """Add the endpoint."""
    router.register("agreement", AgreementViewSet, basename="agreement")
