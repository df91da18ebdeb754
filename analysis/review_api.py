"""REST: items of review, verdicts on them, and how a project reviews; all that the console's own pages can do."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import queue, review
from analysis.models import Item, ReviewPolicy
from analysis.review import Said
from analysis.review_serializers import (
    Claim,
    CommentSerializer,
    Draft,
    EventSerializer,
    ItemSerializer,
    Merge,
    Owner,
    PolicySerializer,
    SaidSerializer,
    Where,
    WholeItemSerializer,
)
from duolog import access
from duolog.api import ProjectViewSet
from duolog.models import Role


class ItemFilter(django_filters.FilterSet):
    """Which items."""

    owner = django_filters.CharFilter(method="owned", label="a name, “me” or “nobody”")
    mine = django_filters.BooleanFilter(method="to_judge", label="those that the caller may still judge")

    class Meta:
        model = Item
        fields: ClassVar[list[str]] = ["project", "state", "kind", "service", "severity", "type", "doubted"]

    def owned(self, items: QuerySet[Item], name: str, value: str) -> QuerySet[Item]:
        """Leave those of an owner."""
        if value == "nobody":
            return items.filter(owner=None)
        return items.filter(owner__username=self.request.user.get_username() if value == "me" else value)

    def to_judge(self, items: QuerySet[Item], name: str, value: bool) -> QuerySet[Item]:
        """Leave those that wait for the caller."""
        return queue.for_user(self.request.user, items) if value else items


class ItemViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """Items of review, the newest first; whoever wants to judge asks for the next one by `claim`."""

    queryset = queue.counted(Item.objects.select_related("sequence", "score__scan", "owner"))
    serializer_class = ItemSerializer
    filterset_class = ItemFilter
    lookup_value_converter = "int"

    def get_serializer_class(self) -> type[serializers.BaseSerializer[Any]]:
        """Lines come with a single item only."""
        return ItemSerializer if self.action == "list" else WholeItemSerializer

    @extend_schema(request=Claim, responses={200: WholeItemSerializer, 204: OpenApiResponse(description="none waits")})
    @action(detail=False, methods=["post"])
    def claim(self, request: Request) -> Response:
        """Get the next item to judge, and hold it for some minutes; 204 where there is none."""
        wish = _valid(Claim, request)
        self.require(Role.REVIEWER, wish["project"])
        order, settle = wish.pop("order"), wish.pop("settle")
        items = Item.objects.filter(**wish)
        found = queue.claim(user=access.person(request), items=items, order=order, settle=settle)
        return self._answer(found) if found else Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=WholeItemSerializer)
    @action(detail=True, methods=["post"])
    def hold(self, request: Request, pk: int) -> Response:
        """Hold this item, or go on holding it; 409 where others do."""
        return self._answer(queue.hold(user=access.person(request), item=self._item()))

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def release(self, request: Request, pk: int) -> Response:
        """Let go of it."""
        queue.release(user=access.person(request), item=self._item())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=Draft, responses={204: None})
    @action(detail=True, methods=["put"])
    def draft(self, request: Request, pk: int) -> Response:
        """Keep what has been noted down so far, and the item."""
        draft = _valid(Draft, request)["draft"]
        queue.keep_draft(user=access.person(request), item=self._item(), draft=draft)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=SaidSerializer, responses=WholeItemSerializer)
    @action(detail=True, methods=["post"])
    def verdict(self, request: Request, pk: int) -> Response:
        """Judge the item, or settle a disputed one; 409 where it is not to be judged any more, or not by the caller."""
        said = _valid(SaidSerializer, request)
        seen = said.pop("round")
        said["lines"] = tuple(said["lines"])
        return self._answer(review.judge(user=access.person(request), item=self._item(), said=Said(**said), seen=seen))

    @extend_schema(request=Where, responses=WholeItemSerializer)
    @action(detail=False, methods=["post"])
    def undo(self, request: Request) -> Response:
        """Take back the caller's last verdict in a project."""
        project = _valid(Where, request)["project"]
        self.require(Role.REVIEWER, project)
        return self._answer(review.undo(user=access.person(request), project=project))

    @extend_schema(request=None, responses=WholeItemSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, pk: int) -> Response:
        """Ask about a decided item again."""
        return self._answer(review.reopen(user=access.person(request), item=self._item()))

    @extend_schema(request=Owner, responses=WholeItemSerializer)
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, pk: int) -> Response:
        """Make a reviewer the owner."""
        item, name = self._item(), _valid(Owner, request)["owner"]
        owner = get_object_or_404(access.members(item.project), username=name) if name else None
        review.assign(user=access.person(request), item=item, owner=owner)
        return self._answer(item)

    @extend_schema(request=Merge, responses=WholeItemSerializer)
    @action(detail=False, methods=["post"])
    def merge(self, request: Request) -> Response:
        """Make several items one."""
        wish = _valid(Merge, request)
        into = get_object_or_404(self.get_queryset(), pk=wish["into"])
        self.require(Role.REVIEWER, into.project)
        items = list(self.get_queryset().filter(pk__in=wish["items"], project=into.project))
        if missing := sorted(set(wish["items"]) - {item.pk for item in items}):
            raise serializers.ValidationError({"items": [f"{missing[:10]}"]})
        return self._answer(review.merge(user=access.person(request), items=items, into=into))

    @extend_schema(methods=["GET"], responses=CommentSerializer(many=True))
    @extend_schema(methods=["POST"], request=CommentSerializer, responses={201: CommentSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None, filterset_class=None)
    def comments(self, request: Request, pk: int) -> Response:
        """Return the remarks on the item, or add one."""
        if request.method == "GET":
            found = review.remarks(self.get_object(), access.person(request))
            return Response(CommentSerializer(found, many=True).data)
        text = _valid(CommentSerializer, request)["text"]
        made = review.comment(user=access.person(request), item=self._item(), text=text)
        return Response(CommentSerializer(made).data, status.HTTP_201_CREATED)

    @extend_schema(responses=EventSerializer(many=True))
    @action(detail=True, pagination_class=None, filterset_class=None)
    def events(self, request: Request, pk: int) -> Response:
        """Return the last thousand things that happened to the item, the newest first."""
        return Response(EventSerializer(self.get_object().events.select_related("user")[:1000], many=True).data)

    def _item(self) -> Item:
        """Return the item, to somebody who may review it."""
        item: Item = self.get_object()
        self.require(Role.REVIEWER, item.project)
        return item

    def _answer(self, item: Item) -> Response:
        return Response(
            WholeItemSerializer(self.get_queryset().get(pk=item.pk), context={"request": self.request}).data
        )


class PolicyViewSet(ProjectViewSet):
    """How projects review."""

    queryset = ReviewPolicy.objects.all()
    serializer_class = PolicySerializer
    lookup_field = "project"

    @extend_schema(responses=PolicySerializer)
    def retrieve(self, request: Request, project: str) -> Response:
        """Return a project's policy, or the defaults."""
        self.require(Role.VIEWER, project)
        return Response(PolicySerializer(queue.policy(project)).data)

    @extend_schema(request=PolicySerializer, responses=PolicySerializer)
    def update(self, request: Request, project: str) -> Response:
        """Change it; what is open is judged by the new one."""
        self.require(Role.ENGINEER, project)
        wish = PolicySerializer(queue.policy(project), data=request.data)
        wish.is_valid(raise_exception=True)
        wish.save()
        return Response(wish.data)


def _valid(serializer: type[serializers.BaseSerializer[Any]], request: Request) -> dict[str, Any]:
    wish = serializer(data=request.data)
    wish.is_valid(raise_exception=True)
    return dict(wish.validated_data)


def register(router: BaseRouter) -> None:
    """Add the endpoints of review."""
    router.register("review-items", ItemViewSet)
    router.register("review-policies", PolicyViewSet)
