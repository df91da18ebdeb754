"""A ListSerializer and bulk_create: a JSON array of lines to rows."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from drf.models import DrfLine


class Lines(serializers.ListSerializer[Any]):
    """Stores all lines of a request at once."""

    def create(self, validated_data: list[dict[str, Any]]) -> list[DrfLine]:
        """Insert."""
        return DrfLine.objects.bulk_create(DrfLine(**line) for line in validated_data)


class Line(serializers.ModelSerializer[DrfLine]):
    """One line."""

    class Meta:
        model = DrfLine
        fields = ["time", "service", "level", "message", "host", "trace_id"]
        list_serializer_class = Lines


class View(APIView):
    """Takes lines from anybody."""

    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []

    def post(self, request: Request) -> Response:
        """Validate and store."""
        lines = Line(data=request.data, many=True)
        lines.is_valid(raise_exception=True)
        lines.save()
        return Response({"lines": len(lines.validated_data)})


urlpatterns = [path("drf", View.as_view())]
