"""What a verdict changed: the division that its sequence is in, the versions that learned it, and what they say now."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Prefetch

from detection.aliases import CHAMPION, SHADOW
from detection.models import ModelAlias, ModelVersion, Score
from logs.models import Label, Sequence, Split

NEWEST = 5
"""Versions that are told of."""
TRAIN = "train"


@dataclass(frozen=True, slots=True)
class Learner:
    """A version that knew the label: it learned from it, or (`part` is not train) was measured by it."""

    version: ModelVersion
    part: str

    @property
    def taught(self) -> bool:
        """Whether it learned from it."""
        return self.part == TRAIN


@dataclass(frozen=True, slots=True)
class Change:
    """The label that a person gave a sequence, where the newest division has it (None: none knows it), and more.

    `learners` are the versions whose division knew the label, the newest first; `scores` are the newest of the champion
    and of the shadow, the champion's first.
    """

    label: Label
    split: Split | None
    learners: list[Learner]
    scores: list[Score]


def what_changed(sequence: Sequence, model: str) -> Change | None:
    """Return what a verdict on a sequence changed for a model's versions; None where nobody has given one.

    Four queries at most, and one where there is no verdict.
    """
    said = Label.objects.filter(sequence=sequence, source=Label.Source.REVIEW).select_related("user")
    label = said.order_by("-id").first()
    if label is None:
        return None
    dataset = sequence.dataset
    # A division that was made before the verdict may hold the sequence, by another label.
    holding = Split.objects.filter(
        dataset=dataset, sequence_ids__contains=[sequence.pk], lineage__labels__last__gte=label.pk
    )
    splits = list(holding.defer("sequence_ids").order_by("-revision"))
    parts = {split.revision: split.name for split in splits}
    aliases = Prefetch("aliases", ModelAlias.objects.filter(alias__in=[CHAMPION, SHADOW]))
    versions = ModelVersion.objects.filter(
        project=dataset.project.slug, lineage__dataset=dataset.name, lineage__revision__in=list(parts),
        lineage__has_key="last_label",
    )  # fmt: skip
    newest = versions.defer("plots", "reference", "metrics").prefetch_related(aliases).order_by("-pk")[:NEWEST]
    learners = [Learner(version, parts[version.lineage["revision"]]) for version in newest] if parts else []
    return Change(label, splits[0] if splits else None, learners, _scores(sequence, model))


def _scores(sequence: Sequence, model: str) -> list[Score]:
    """Return what champion and shadow of a name said last."""
    live = ModelAlias.objects.filter(
        project=sequence.dataset.project.slug, name=model, alias__in=[CHAMPION, SHADOW]
    ).values("version")
    said = Score.objects.filter(sequence=sequence, scan__version__in=live).select_related("scan__version")
    return list(said.order_by("scan__version__number", "-pk").distinct("scan__version__number"))
