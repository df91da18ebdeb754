"""REST: channels of alerts with their routes, what became of each delivery, and a test of a channel."""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import BaseRouter

from analysis import channels, deliveries
from analysis.models import Channel, Delivery, Route
from duolog.api import NestedViewSet, ProjectViewSet
from duolog.models import Role

OPTIONS = _("options of the notifier; a secret is taken, and never given back: empty it stays, null forgets it")


class ChannelChange(serializers.ModelSerializer[Channel]):
    """What can be changed of a channel; options that are not given stay what they are."""

    name = serializers.SlugField(max_length=50)
    options = serializers.DictField(child=serializers.JSONField(allow_null=True), help_text=str(OPTIONS))

    class Meta:
        model = Channel
        fields = ["name", "options", "enabled"]


class ChannelSerializer(ChannelChange):
    """A place that alerts go to: `notifier` with its `options`; of `secrets` it tells which ones there are.

    Notifiers: alertmanager, webhook, slack, dingtalk, feishu, wecom, email, and those of plugins. A new channel has a
    route for all that is of medium severity or worse.
    """

    secrets = serializers.SerializerMethodField()

    class Meta(ChannelChange.Meta):
        fields = ["id", "project", "notifier", "secrets", *ChannelChange.Meta.fields, "created_at"]
        read_only_fields = ["created_at"]
        validators: ClassVar[list[Any]] = []  # one would tell strangers which names there are

    def get_secrets(self, channel: Channel) -> list[str]:
        """Return names."""
        return channels.kept(channel)


class RouteSerializer(serializers.ModelSerializer[Route]):
    """Which items a channel is told of: of this severity or worse, of services like this, that open at these hours.

    `from_minute` and `until_minute` are minutes of the day in `zone`: from > until spans midnight and belongs to the
    day on which it begins, from = until is all day. An item that opens at other hours is not told of later, either.
    """

    class Meta:
        model = Route
        fields = ["id", "channel", "severity", "service", "from_minute", "until_minute", "weekdays", "zone"]
        read_only_fields = ["channel"]


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """What a channel was told, or is to be told, and what came of it.

    `due_at`: when it is sent, or sent again; null: nothing is left to do. `sent_with` is the delivery in whose message
    it went.
    """

    project = serializers.SlugField(source="channel.project", read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id", "project", "channel", "item", "round", "kind", "state", "attempts", "due_at", "error", "sent_with",
            "created_at", "sent_at",
        ]  # fmt: skip


class ChannelViewSet(
    mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, ProjectViewSet
):
    """Channels of alerts, newest first; engineers of a project set them up."""

    queryset = Channel.objects.all()
    serializer_class = ChannelSerializer
    filterset_fields = ("project", "notifier", "enabled")
    lookup_value_converter = "int"

    def perform_create(self, serializer: serializers.BaseSerializer[Channel]) -> None:
        """Make the channel, for engineers of its project."""
        self.require(Role.ENGINEER, serializer.validated_data["project"])
        serializer.instance = channels.create(**serializer.validated_data)

    @extend_schema(request=ChannelChange, responses=ChannelSerializer)
    def partial_update(self, request: Request, pk: int) -> Response:
        """Change name or options, or switch it on or off; what waits in one that is switched off is dropped."""
        channel: Channel = self.get_object()
        self.require(Role.ENGINEER, channel.project)
        wanted = ChannelChange(channel, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        channels.change(channel, **wanted.validated_data)
        return Response(self.get_serializer(channel).data)

    def perform_destroy(self, instance: Channel) -> None:
        """Delete the channel, with its routes and its deliveries."""
        self.require(Role.ENGINEER, instance.project)
        instance.delete()

    @extend_schema(request=None, responses=DeliverySerializer)
    @action(detail=True, methods=["post"], filter_backends=[], pagination_class=None)
    def test(self, request: Request, pk: int) -> Response:
        """Send a test message now, and answer with what became of it; `error` holds what the receiver said."""
        channel: Channel = self.get_object()
        self.require(Role.ENGINEER, channel.project)
        return Response(DeliverySerializer(deliveries.test(channel)).data)


class RouteViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    NestedViewSet,
):
    """Routes of a channel: it is told of what any of them lets through, and without one of nothing."""

    queryset = Route.objects.all()
    serializer_class = RouteSerializer
    project_field = "channel__project"
    parent: ClassVar[str] = "channel"
    lookup_value_converter = "int"

    def engineered(self) -> Channel:
        """Return the channel, to engineers of its project."""
        channel: Any = self.parent_object()
        self.require(Role.ENGINEER, channel.project)
        found: Channel = channel
        return found

    def perform_create(self, serializer: serializers.BaseSerializer[Route]) -> None:
        """Add a route."""
        serializer.save(channel=self.engineered())

    @extend_schema(responses=RouteSerializer)
    def partial_update(self, request: Request, channel: int, pk: int) -> Response:
        """Change a route; what was told stays told."""
        route: Route = self.get_object()
        self.engineered()
        wanted = self.get_serializer(route, data=request.data, partial=True)
        wanted.is_valid(raise_exception=True)
        wanted.save()
        return Response(wanted.data)

    def perform_destroy(self, instance: Route) -> None:
        """Delete a route."""
        self.engineered()
        instance.delete()


class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ProjectViewSet):
    """The log of deliveries, newest first."""

    queryset = Delivery.objects.select_related("channel")
    serializer_class = DeliverySerializer
    project_field = "channel__project"
    filterset_fields = {
        "channel__project": ["exact"], "channel": ["exact"], "item": ["exact"], "kind": ["exact"], "state": ["exact"],
        "created_at": ["gte", "lte"],
    }  # fmt: skip
    lookup_value_converter = "int"


def register(router: BaseRouter) -> None:
    """Add the endpoints of alerts."""
    router.register("alert-channels", ChannelViewSet)
    router.register("alert-channels/<int:channel>/routes", RouteViewSet)
    router.register("alert-deliveries", DeliveryViewSet)
