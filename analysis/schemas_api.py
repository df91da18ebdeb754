"""REST: the JSON schemas of what this app hands out."""

from __future__ import annotations

from typing import Any

from django.http import Http404, JsonResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import permissions, viewsets
from rest_framework.request import Request
from rest_framework.routers import BaseRouter

from analysis.engine import schema

SCHEMAS = {"report": schema.REPORT}


class SchemaViewSet(viewsets.ViewSet):
    """JSON schemas (draft 2020-12), by name: `report` is what an analyst says about a sequence. They are public."""

    permission_classes = [permissions.AllowAny]
    lookup_field = "name"
    lookup_value_converter = "slug"

    @extend_schema(responses={(200, "application/schema+json"): OpenApiTypes.OBJECT})
    def retrieve(self, request: Request, name: str) -> JsonResponse:
        """Return one schema."""
        if name not in SCHEMAS:
            raise Http404
        told: dict[str, Any] = SCHEMAS[name]
        return JsonResponse(told, content_type="application/schema+json")


def register(router: BaseRouter) -> None:
    """Add this app's schemas."""
    router.register("schemas", SchemaViewSet, basename="schema")
