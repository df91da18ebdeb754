"""REST: mute rules, and what one would have hidden before it is made."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import muting
from analysis.models import Event, MuteRule
from duolog import access
from duolog.api import ProjectViewSet
from duolog.models import Role
from logs.engine.user_patterns import LONGEST
from logs.models import Template
from workers.jobs import JobFailed


class RuleDraft(serializers.Serializer[Any]):
    """What a rule names, one thing at least: all of it must hold.

    `template`: the `id` of a template that some line is of. `expression`: a pattern that some line matches
    (https://docs.rs/regex/latest/regex/#syntax).
    """

    project = serializers.SlugField()
    template = serializers.IntegerField(allow_null=True, default=None, min_value=1, max_value=2**63 - 1)
    service = serializers.CharField(allow_blank=True, default="", max_length=200)
    type = serializers.CharField(allow_blank=True, default="", max_length=100)
    expression = serializers.CharField(allow_blank=True, default="", max_length=LONGEST, trim_whitespace=False)


class NewRule(RuleDraft):
    """A rule with its reason; it is refused if it would have hidden confirmed incidents, unless wanted `even_so`."""

    reason = serializers.CharField(max_length=1000)
    expires_at = serializers.DateTimeField(help_text=str(_("within a year")))
    even_so = serializers.BooleanField(default=False)


class BackTestSerializer(serializers.Serializer[Any]):
    """What a rule would have hidden in the last `days`: items by what became of them, and findings.

    `confirmed` are items of which somebody confirmed a finding; `links` are the newest of them. `per_day` are the
    findings of each day (UTC), the last one that of `until`; `rate` is a day's mean, `busiest` the most.
    """

    days = serializers.IntegerField()
    items = serializers.IntegerField()
    findings = serializers.IntegerField()
    confirmed = serializers.IntegerField()
    dismissed = serializers.IntegerField()
    open = serializers.IntegerField()
    muted = serializers.IntegerField()
    links = serializers.ListField(child=serializers.IntegerField())
    per_day = serializers.ListField(child=serializers.IntegerField())
    until = serializers.DateField()
    rate = serializers.FloatField()
    busiest = serializers.IntegerField()


class MuteRuleSerializer(serializers.ModelSerializer[MuteRule]):
    """What a project does not want to be told of, until when and why.

    `back_test` is what it would have hidden when it was made, `hidden` the findings that it has hidden since; ended, it
    hides nothing, and is kept.
    """

    back_test = BackTestSerializer(read_only=True)
    created_by = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = MuteRule
        fields = [
            "id",
            "project",
            "template",
            "service",
            "type",
            "expression",
            "reason",
            "back_test",
            "rate",
            "hidden",
            "created_by",
            "created_at",
            "expires_at",
            "ended_at",
            "ended_why",
        ]
        read_only_fields = fields


class RuleEventSerializer(serializers.ModelSerializer[Event]):
    """Something was done to a rule; `user` null: Duolog did it."""

    user = serializers.SlugRelatedField[Any](slug_field="username", read_only=True)

    class Meta:
        model = Event
        fields = ["id", "at", "user", "details"]


class MuteRuleFilter(django_filters.FilterSet):
    """Which rules."""

    holds = django_filters.BooleanFilter(
        field_name="ended_at", lookup_expr="isnull", label=str(_("rules that have not ended, or have"))
    )

    class Meta:
        model = MuteRule
        fields = ("project", "service", "type", "template")


class MuteRuleViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Mute rules, newest first."""

    queryset = MuteRule.objects.select_related("created_by")
    serializer_class = MuteRuleSerializer
    filterset_class = MuteRuleFilter
    lookup_value_converter = "int"

    @extend_schema(request=NewRule, responses={201: MuteRuleSerializer})
    def create(self, request: Request) -> Response:
        """Make a rule after a back-test, and mute the open items that it matches."""
        rule, asked = self._asked(NewRule(data=request.data))
        rule.reason, rule.expires_at = asked["reason"], asked["expires_at"]
        made = muting.create(rule, user=access.person(request), even_so=asked["even_so"])
        return Response(self.get_serializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(request=RuleDraft, responses=BackTestSerializer, filters=False)
    @action(detail=False, methods=["post"], url_path="back-test", pagination_class=None)
    def back_test(self, request: Request) -> Response:
        """Tell what a rule would have hidden; it is not made."""
        rule, _asked = self._asked(RuleDraft(data=request.data))
        return Response(BackTestSerializer(muting.back_test(rule).as_json()).data)

    @extend_schema(request=None, responses=MuteRuleSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: int) -> Response:
        """End the rule, and open what it hides and nobody has decided."""
        rule: MuteRule = self.get_object()
        self.require(Role.REVIEWER, rule.project)
        if not muting.end(rule, user=access.person(request)):
            raise JobFailed(gettext("This rule has ended already."))
        return Response(self.get_serializer(rule).data)

    @extend_schema(responses=RuleEventSerializer(many=True), filters=False)
    @action(detail=True, pagination_class=None)
    def history(self, request: Request, pk: int) -> Response:
        """List who did what to the rule, newest first."""
        return Response(RuleEventSerializer(muting.history(self.get_object()), many=True).data)

    def _asked(self, form: serializers.Serializer[Any]) -> tuple[MuteRule, dict[str, Any]]:
        """Return the rule that reviewers of its project ask for, not saved, and all else they said."""
        form.is_valid(raise_exception=True)
        asked = dict(form.validated_data)
        self.require(Role.REVIEWER, asked["project"])
        names = {name: asked[name] for name in ("project", "service", "type", "expression")}
        rule = MuteRule(**names)
        if asked["template"] is not None:
            # Of this project only: whether the id is somebody else's template is nobody's business.
            mine: QuerySet[Template] = Template.objects.filter(project__slug=asked["project"])
            rule.template = mine.select_related("project").filter(pk=asked["template"]).first()
            if rule.template is None:
                raise serializers.ValidationError({"template": [gettext("The project has no such template.")]})
        return rule, asked


def register(router: BaseRouter) -> None:
    """Add the endpoints."""
    router.register("mute-rules", MuteRuleViewSet)
