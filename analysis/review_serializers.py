"""REST: how items of review, verdicts and what is asked of them look as JSON."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from analysis import queue, review
from analysis.models import Comment, Event, Item, Lease, ReviewPolicy, Verdict
from logs.engine import taxonomy


class ReviewVerdictSerializer(serializers.ModelSerializer[Verdict]):
    """What a reviewer said; `lines` count from 0."""

    user = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Verdict
        fields = ["id", "user", "anomalous", "type", "lines", "note", "adjudication", "seconds", "created_at"]


class ItemSerializer(serializers.ModelSerializer[Item]):
    """What is put before reviewers at once; of findings that say the same, the newest one's sequence and score.

    `reviewers` are to judge it, `given` have, and `findings_count` findings are settled by that.
    """

    owner = serializers.CharField(source="owner.username", read_only=True, allow_null=True, default=None)
    dataset = serializers.IntegerField(source="sequence.dataset_id", read_only=True)
    score = serializers.FloatField(source="score.value", read_only=True, allow_null=True, default=None)
    threshold = serializers.FloatField(source="score.scan.threshold", read_only=True, allow_null=True, default=None)
    given = serializers.IntegerField(read_only=True)
    reviewers = serializers.IntegerField(read_only=True)

    class Meta:
        model = Item
        fields = [
            "id", "project", "kind", "state", "round", "type", "severity", "service", "owner", "findings_count",
            "given", "reviewers", "doubted", "priority", "sequence", "dataset", "score", "threshold", "merged_into",
            "muted_by", "first_seen_at", "last_seen_at", "settled_at",
        ]  # fmt: skip
        read_only_fields = fields


class WholeItemSerializer(ItemSerializer):
    """An item with its lines, the weight of each in the score, what has been said, and the caller's own draft.

    While an item is open nobody sees what others said: all judge it blind.
    """

    entries: Any = serializers.ListField(source="sequence.entries", child=serializers.CharField(), read_only=True)
    times: Any = serializers.ListField(
        source="sequence.times", child=serializers.FloatField(), read_only=True, allow_null=True
    )
    blame: Any = serializers.ListField(
        source="score.blame", child=serializers.FloatField(), read_only=True, allow_null=True, default=None
    )
    verdicts = serializers.SerializerMethodField()
    draft = serializers.SerializerMethodField()

    class Meta(ItemSerializer.Meta):
        fields = [*ItemSerializer.Meta.fields, "entries", "times", "blame", "verdicts", "draft"]
        read_only_fields = fields

    @extend_schema_field(ReviewVerdictSerializer(many=True))
    def get_verdicts(self, item: Item) -> Any:
        """Return those that the caller may see."""
        return ReviewVerdictSerializer(review.shown(item, self.context["request"].user), many=True).data

    def get_draft(self, item: Item) -> dict[str, Any]:
        """Return what the caller has noted down."""
        kept = Lease.objects.filter(item=item, user=self.context["request"].user.pk).values_list("draft", flat=True)
        return cast(dict[str, Any], kept.first() or {})


class CommentSerializer(serializers.ModelSerializer[Comment]):
    """A remark; members of the project whose @name stands in it find it among their mentions."""

    user = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Comment
        fields = ["id", "user", "text", "created_at"]
        read_only_fields = ["id", "created_at"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"text": {"max_length": 10_000}}


class EventSerializer(serializers.ModelSerializer[Event]):
    """Something that happened; `user` is null where Duolog did it."""

    user = serializers.CharField(source="user.username", read_only=True, allow_null=True, default=None)

    class Meta:
        model = Event
        fields = ["id", "action", "user", "details", "at"]


class PolicySerializer(serializers.ModelSerializer[ReviewPolicy]):
    """How a project reviews."""

    class Meta:
        model = ReviewPolicy
        fields = ["project", "reviewers", "control_share", "quiet_hours"]
        read_only_fields = ["project"]


class SaidSerializer(serializers.Serializer[Any]):
    """A verdict; `round` is that of the item as the reviewer saw it, and an item that went on since answers 409."""

    anomalous = serializers.BooleanField()
    type = serializers.CharField(max_length=80, required=False, allow_blank=True, default="")
    lines: Any = serializers.ListField(child=serializers.IntegerField(min_value=0), required=False, default=list)
    note = serializers.CharField(max_length=10_000, required=False, allow_blank=True, default="")
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False, allow_null=True, default=None)
    round = serializers.IntegerField(min_value=1, required=False, allow_null=True, default=None)


class Where(serializers.Serializer[Any]):
    """A project."""

    project = serializers.SlugField()


class Claim(Where):
    """Which items one would review, and in which order; with `settle`, those that others dispute."""

    settle = serializers.BooleanField(default=False)

    order = serializers.ChoiceField(choices=list(queue.ORDERS), default="teaching")
    service = serializers.CharField(required=False, allow_blank=True)
    type = serializers.CharField(required=False, allow_blank=True)
    severity = serializers.ChoiceField(choices=taxonomy.SEVERITIES, required=False)
    kind = serializers.ChoiceField(choices=Item.Kind.choices, required=False)


class Owner(serializers.Serializer[Any]):
    """A reviewer's name; null: nobody's."""

    owner = serializers.CharField(allow_null=True)


class Merge(serializers.Serializer[Any]):
    """The items that become one with `into`."""

    items: Any = serializers.ListField(child=serializers.IntegerField(), min_length=1, max_length=1000)
    into = serializers.IntegerField()


class Draft(serializers.Serializer[Any]):
    """What somebody has noted down so far, as they like."""

    draft = serializers.DictField()
