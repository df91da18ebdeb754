"""REST: a project's rules of redaction, and what they make of a text."""

from __future__ import annotations

from typing import Any, ClassVar

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from duolog import access
from duolog.api import ProjectViewSet
from duolog.models import Role
from logs import redaction_rules
from logs.models import Project, RedactionRule

TEXTS, CHARACTERS = 100, 10_000
"""Texts of a preview at most, and the characters of one."""


class RuleChange(serializers.ModelSerializer[RedactionRule]):
    """What can be changed of a rule."""

    class Meta:
        model = RedactionRule
        fields = ["strategy", "pattern"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"pattern": {"trim_whitespace": False}}


class RuleSerializer(RuleChange):
    """What a project wants done with one `kind` of secret.

    `strategy`: mask, hash, drop, or keep (do not look for it). A kind that is built in has no `pattern`; one of your
    own has one (https://docs.rs/regex/latest/regex/#syntax), and all that it matches is redacted. Kinds without a rule
    are masked, but for `ip`, which is kept.
    """

    project = serializers.SlugField(source="project.slug")
    set_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta(RuleChange.Meta):
        fields = ["id", "project", "kind", *RuleChange.Meta.fields, "set_by", "set_at"]
        read_only_fields = ["set_at"]


class Trial(serializers.Serializer[Any]):
    """Texts to redact by a project's rules, each as one line of a log."""

    project = serializers.SlugField()
    texts = serializers.ListField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=CHARACTERS), max_length=TEXTS
    )


class Redacted(serializers.Serializer[Any]):
    """The texts without secrets, in order, and how many of each kind there were."""

    texts = serializers.ListField(child=serializers.CharField())
    counts = serializers.DictField(child=serializers.IntegerField(), help_text=str(_("redacted values by kind")))


class RuleViewSet(
    mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, ProjectViewSet
):
    """Rules of redaction, newest first. They hold for lines that come in, some seconds after they are set."""

    queryset = RedactionRule.objects.select_related("project", "set_by")
    serializer_class = RuleSerializer
    project_field = "project__slug"
    filterset_fields = {"project__slug": ["exact"], "kind": ["exact"], "strategy": ["exact"]}
    lookup_value_converter = "int"

    def perform_create(self, serializer: serializers.BaseSerializer[RedactionRule]) -> None:
        """Make the rule, for engineers of its project."""
        given = {"strategy": RedactionRule.Strategy.MASK, "pattern": "", **serializer.validated_data}
        project = self.project(given.pop("project")["slug"])
        serializer.instance = redaction_rules.create(project=project, user=access.person(self.request), **given)

    @extend_schema(request=RuleChange, responses=RuleSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change strategy or pattern."""
        row: RedactionRule = self.get_object()
        self.require(Role.ENGINEER, row.project.slug)
        wanted = RuleChange(row, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        redaction_rules.change(row, user=access.person(request), **wanted.validated_data)
        return Response(self.get_serializer(row).data)

    def perform_destroy(self, instance: RedactionRule) -> None:
        """Delete the rule: a kind that is built in is treated as by default again."""
        self.require(Role.ENGINEER, instance.project.slug)
        instance.delete()

    @extend_schema(request=Trial, responses=Redacted, filters=False)
    @action(detail=False, methods=["post"], pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Redact texts by the project's rules; nothing is stored, and hashes differ from those of stored lines."""
        asked = Trial(data=request.data)
        asked.is_valid(raise_exception=True)
        project = self.project(asked.validated_data["project"])
        redactor = redaction_rules.example(redaction_rules.rules_of(project))
        texts, counts = redactor.redact(asked.validated_data["texts"])
        return Response(Redacted({"texts": texts, "counts": counts}).data, status.HTTP_200_OK)

    def project(self, slug: str) -> Project:
        """Return a project that the caller is an engineer of; 404 to strangers, 403 to lower roles."""
        self.require(Role.ENGINEER, slug)
        return get_object_or_404(Project, slug=slug)


def register(router: BaseRouter) -> None:
    """Add the endpoints."""
    router.register("redaction-rules", RuleViewSet)
