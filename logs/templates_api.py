"""REST: a project's templates, and what people decide about them, with a preview."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from duolog import access
from duolog.api import NestedViewSet, ProjectViewSet
from duolog.models import Role
from logs import template_edits
from logs.models import Template, TemplateChange


class TemplateSerializer(serializers.ModelSerializer[Template]):
    """What many lines say, with `<*>` for each variable.

    `number` is what stored lines keep, as text: it has more digits than JavaScript can count. `text` is the pattern
    that counts, `merged_into` the template (its `id`) that lines of this one are of now.
    """

    project = serializers.CharField(source="project.slug", read_only=True)
    number = serializers.CharField(read_only=True)
    text = serializers.CharField(read_only=True)
    edited_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Template
        fields = [
            "id",
            "project",
            "number",
            "text",
            "pattern",
            "fixed",
            "examples",
            "merged_into",
            "lines",
            "first_seen_at",
            "last_seen_at",
            "edited_at",
            "edited_by",
        ]
        read_only_fields = fields


class Decision(serializers.Serializer[Any]):
    """What to do with a template; it holds for lines that come from now on.

    `edit`: it has the text `pattern` (empty: the mined one again). `merge`: its lines are of the template with the id
    `into`. `split`: lines that fit `pattern` get a template of their own; a merged one becomes one again without it.
    """

    action = serializers.ChoiceField(choices=TemplateChange.Action.choices)
    pattern = serializers.CharField(default="", allow_blank=True)
    into = serializers.IntegerField(default=None, allow_null=True)


class MoveSerializer(serializers.Serializer[Any]):
    """A masked line, and the text of its template before and after; null: a new one of its own."""

    example = serializers.CharField()
    before = serializers.CharField(source="before.text", allow_null=True, default=None)
    after = serializers.CharField(source="after.text", allow_null=True, default=None)


class TemplateChangeSerializer(serializers.ModelSerializer[TemplateChange]):
    """A person changed a template."""

    set_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = TemplateChange
        fields = ["id", "action", "before", "after", "set_at", "set_by"]


class TemplateFilter(django_filters.FilterSet):
    """What to look for among templates."""

    project = django_filters.CharFilter(field_name="project__slug")
    number = django_filters.NumberFilter()
    merged = django_filters.BooleanFilter(
        field_name="merged_into", lookup_expr="isnull", exclude=True, label=str(_("merged into another, or not"))
    )
    search = django_filters.CharFilter(method="by_text", label=str(_("text in the template")))

    def by_text(self, queryset: QuerySet[Template], name: str, value: str) -> QuerySet[Template]:
        """Keep templates that hold this text."""
        return queryset.alias(shown=Coalesce("fixed", "pattern")).filter(shown__icontains=value)


class TemplateViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Templates, newest first."""

    project_field = "project__slug"
    queryset = Template.objects.select_related("project", "edited_by", "merged_into")
    serializer_class = TemplateSerializer
    filterset_class = TemplateFilter
    lookup_value_converter = "int"

    @extend_schema(request=Decision, responses=MoveSerializer(many=True), filters=False)
    @action(detail=True, methods=["post"], pagination_class=None)
    def preview(self, request: Request, pk: int) -> Response:
        """List the known masked lines that a decision would give to another template; nothing is changed."""
        row, decision = self._decision(request)
        moves = template_edits.preview(template_edits.plan(row, **decision))
        return Response(MoveSerializer(moves, many=True).data)

    @extend_schema(request=Decision, responses=TemplateSerializer)
    @action(detail=True, methods=["post"])
    def decide(self, request: Request, pk: int) -> Response:
        """Edit, merge or split a template, and return the one that was changed or made."""
        row, decision = self._decision(request)
        made = template_edits.apply(row, user=access.person(request), **decision)
        return Response(self.get_serializer(made).data)

    def _decision(self, request: Request) -> tuple[Template, dict[str, Any]]:
        """Return the template and what to do with it, for those who may."""
        row: Template = self.get_object()
        self.require(Role.ENGINEER, row.project.slug)
        asked = Decision(data=request.data)
        asked.is_valid(raise_exception=True)
        into = asked.validated_data["into"]
        # Of this project only: whether the id is somebody else's template is nobody's business.
        target = Template.objects.filter(project=row.project_id, pk=into).first() if into is not None else None
        return row, {**asked.validated_data, "into": target}


class TemplateChangeViewSet(mixins.ListModelMixin, NestedViewSet):
    """What people changed of a template, newest first."""

    parent = "template"
    project_field = "template__project__slug"
    queryset = TemplateChange.objects.select_related("set_by")
    serializer_class = TemplateChangeSerializer


def register(router: BaseRouter) -> None:
    """Add the endpoints."""
    router.register("templates", TemplateViewSet)
    router.register("templates/<int:template>/changes", TemplateChangeViewSet)
