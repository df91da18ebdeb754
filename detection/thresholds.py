"""Where a version's threshold lies: by best F1, by a target false-alarm rate, or by a budget of false alarms a day."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from django.db.models import Count, Max, Min
from django.db.models.fields.json import KeyTextTransform
from django.utils.translation import gettext
from numpy.typing import NDArray

from duolog.plugins.types import LogSequence
from logs.models import Dataset
from logs.models import Sequence as Stored
from workers.jobs import JobFailed

BEST_F1 = "best-f1"
POLICY = re.compile(r"best-f1|(?P<kind>rate|budget)=(?P<value>\d*\.?\d+(?:e-?\d+)?)")
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Policy:
    """`best-f1`; or `rate`: alarms a normal sequence; or `budget`: false alarms a day and service."""

    text: str
    kind: str
    value: float = 0.0


def parse(text: str) -> Policy:
    """Read `best-f1`, `rate=0.01` or `budget=2`; raise ValueError, with what there is, at anything else."""
    if not (found := POLICY.fullmatch(text.strip())):
        raise ValueError(
            gettext("a threshold is chosen by best-f1, rate=0.01 or budget=2, not by %(text)s") % {"text": text}
        )
    value = float(found["value"] or 0)
    if found["kind"] and not 0 < value < (1 if found["kind"] == "rate" else float("inf")):
        raise ValueError(gettext("a rate lies between 0 and 1, a budget above 0: %(text)s does not") % {"text": text})
    return Policy(text.strip(), found["kind"] or BEST_F1, value)


@dataclass(frozen=True, slots=True)
class Group:
    """Normal sequences, by position, that keep one promise: at most `rate` of such as they raise an alarm."""

    rate: float
    members: list[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """How to choose a threshold for certain sequences, before anything is scored: what cannot be done shows early."""

    policy: Policy
    labels: NDArray[np.bool_]
    groups: list[Group] = field(default_factory=list)
    a_day: dict[str, float] = field(default_factory=dict)

    def choose(self, scores: NDArray[np.float64], where: str) -> Chosen:
        """Return the threshold for the sequences' calibrated scores; the strictest group decides."""
        from detection.engine import calibrate  # reads scipy, which a web process need not load

        limits = [calibrate.conformal(scores[group.members], group.rate) for group in self.groups]
        if self.policy.kind != "rate":  # a budget is what people can bear: fewer false alarms are welcome
            limits.append(calibrate.best_f1(self.labels, scores))
        threshold = max(limits)
        rate = min((group.rate for group in self.groups), default=None)
        return Chosen(threshold, self.policy.text, where, int((~self.labels).sum()), rate, self.a_day)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A threshold, and what it promises.

    `rate` is the share of normal sequences that may raise an alarm (of the strictest group; None where nothing is
    promised), `a_day` how many sequences each service has, where a budget asked for it.
    """

    threshold: float
    policy: str
    where: str
    normals: int
    rate: float | None
    a_day: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return what a version keeps of it as its `policy`."""
        return asdict(self)


def plan(policy: Policy, sequences: Sequence[LogSequence], dataset: Dataset) -> Plan:
    """Return how to choose a threshold on labelled `sequences` of a dataset.

    A budget is turned into a rate by how many sequences a day each service has in the whole dataset, by its own
    times. Raises JobFailed, with what would help, where labels, times or normal sequences are missing.
    """
    labels = np.array([sequence.label for sequence in sequences], bool)
    if policy.kind == BEST_F1:
        if labels.all() or not labels.any():
            raise JobFailed(gettext("best F1 takes normal and anomalous sequences; here are only those of one kind"))
        return Plan(policy, labels)
    normals = np.flatnonzero(~labels).tolist()
    if policy.kind == "rate":
        return Plan(policy, labels, [_enough(Group(policy.value, normals))])
    a_day = sequences_a_day(dataset)
    by_service: dict[str, list[int]] = defaultdict(list)
    for position in normals:
        by_service[service(sequences[position])].append(position)
    return Plan(policy, labels, _groups(policy.value, a_day, by_service), a_day)


def sequences_a_day(dataset: Dataset) -> dict[str, float]:
    """Return how many sequences a day each service of a dataset has; raise JobFailed where their times do not tell."""
    timed = Stored.objects.filter(dataset=dataset, started_at__isnull=False).order_by()
    ends = timed.aggregate(first=Min("started_at"), last=Max("started_at"))
    days = (ends["last"] - ends["first"]).total_seconds() / DAY if ends["first"] else 0.0
    if not days:
        text = gettext(
            "a budget counts false alarms a day, and the lines of %(dataset)s have no times to count days by: choose "
            "by rate=… instead"
        )
        raise JobFailed(text % {"dataset": dataset.name})
    counts = timed.values_list(KeyTextTransform("service", "meta")).annotate(count=Count("pk"))
    return {name or "": count / days for name, count in counts}


def service(sequence: LogSequence) -> str:
    """Return the service that a sequence names, or nothing."""
    return str(sequence.meta.get("service") or "")


def _groups(budget: float, a_day: dict[str, float], by_service: dict[str, list[int]]) -> list[Group]:
    """Return a group for each service that has normal sequences enough, and one that stands in for all others.

    That one holds everybody's, at the rate of the busiest service it stands for.
    """
    from detection.engine import calibrate

    groups, strictest = [], 1.0
    for name, count in a_day.items():
        members, rate = by_service.get(name, []), min(1.0, budget / count)
        if len(members) >= calibrate.needed(rate):
            groups.append(Group(rate, members))
        else:
            strictest = min(strictest, rate)
    if strictest < 1:
        everyone = [position for members in by_service.values() for position in members]
        groups.append(_enough(Group(strictest, everyone)))
    return groups


def _enough(group: Group) -> Group:
    from detection.engine import calibrate

    if len(group.members) < calibrate.needed(group.rate):
        text = gettext(
            "to promise a false-alarm rate of %(rate).2g takes %(needed)d sequences labelled normal, and there are "
            "%(count)d: label more, or allow more false alarms"
        )
        values = {"rate": group.rate, "needed": calibrate.needed(group.rate), "count": len(group.members)}
        raise JobFailed(text % values)
    return group
