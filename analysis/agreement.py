"""How well a project's reviewers agree, how far each of them can be trusted, and how sure a settled label is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db.models import F
from numpy.typing import NDArray

from analysis.engine import agreement
from analysis.engine.agreement import Figure
from analysis.engine.reliability import USUAL, Fitted, fit, together
from analysis.models import Item, Verdict

KEPT = 300
"""Seconds for which reliabilities are kept: they move with hundreds of verdicts, and every settled item asks."""
MOST = 30
"""Classes, and reviewers in pairs, of which figures are told: the busiest."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Whole:
    """How well all agree: `alpha`, and `fleiss` over the items that `raters` people judged, as most were.

    On `agreed` of the `shared` items that several people judged all said the same; the 95 % interval of that share is
    `low` to `high`.
    """

    alpha: Figure
    fleiss: Figure
    raters: int
    agreed: int
    shared: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Kind:
    """How well all agree on one class against all others; `type` is "" of what is normal, or of no type."""

    anomalous: bool
    type: str
    verdicts: int
    alpha: Figure


@dataclass(frozen=True, slots=True)
class Pair:
    """How well two reviewers (primary keys, the lower first) agree on what is anomalous; of so many items they said the
    same of `agreed`."""

    first: int
    second: int
    agreed: int
    kappa: Figure


@dataclass(frozen=True, slots=True)
class Reviewer:
    """What one person judged; `seconds` is their median.

    `accuracy` is the expected share of their verdicts on `shared` items, which others judged, too, or somebody
    adjudicated, that are right (`analysis.engine.reliability`); None without any.
    """

    user: int
    name: str
    verdicts: int
    seconds: float | None
    shared: int
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Figures of a project; `classes` are of normal or anomalous, `types` of what exactly."""

    verdicts: int
    items: int
    classes: Whole
    types: Whole
    kinds: list[Kind]
    pairs: list[Pair]
    reviewers: list[Reviewer]


@dataclass(frozen=True, slots=True)
class _Votes:
    """Verdicts as numbers, one each: item, user and whether anomalous, and what `kinds` it names.

    `truth` is what adjudications say of an item, -1 where there is none.
    """

    items: Numbers
    users: Numbers
    anomalous: Numbers
    said: Numbers
    seconds: NDArray[np.float64]
    people: list[int]
    kinds: list[tuple[bool, str]]
    truth: Numbers


def measure(*, project: str, since: date | None = None) -> Agreement:
    """Return the figures of a project's verdicts that count, of those since a day (UTC) if one is given.

    They are those of each item's newest round that nobody undid. An adjudication is no independent verdict: it tells
    what is true, and does not count as agreement.
    """
    votes = _votes(project, since)
    fitted, shared = _fit(votes)
    return Agreement(
        verdicts=len(votes.items),
        items=len(votes.truth),
        classes=_whole(agreement.tally(votes.items, votes.anomalous, 2)),
        types=_whole(agreement.tally(votes.items, votes.said, max(1, len(votes.kinds)))),
        kinds=_kinds(votes),
        pairs=_pairs(votes),
        reviewers=_reviewers(votes, fitted, shared),
    )


def reliability(*, project: str) -> dict[int, float]:
    """Return by reviewer (primary key) the probability that they are right, as of the last minutes.

    Who is not in it has judged nothing that others did: `USUAL` is what to expect of them.
    """
    name = f"reliability-{project}"
    known: dict[int, float] | None = cache.get(name)
    if known is None:
        votes = _votes(project, None)
        fitted, shared = _fit(votes)
        known = {user: float(fitted.accuracy[number]) for number, user in enumerate(votes.people) if shared[number]}
        cache.set(name, known, KEPT)
    return known


def confidence(*, item: Item, verdicts: Iterable[Verdict]) -> float:
    """Return the probability that what verdicts settled on an item is right, for `logs.Label.confidence`.

    Whether it is anomalous, that is: as the verdicts, each as reliable as its reviewer, tell together. Somebody who
    adjudicates has seen what the others say, so theirs is the word that counts.
    """
    known, given = reliability(project=item.project), list(verdicts)
    deciding = [each for each in given if each.adjudication][-1:] or given
    settled = deciding[-1].anomalous if deciding else False
    if len({each.anomalous for each in deciding}) > 1:
        settled = 2 * sum(each.anomalous for each in deciding) > len(deciding)
    trust = [(each.anomalous == settled, known.get(each.user_id, USUAL)) for each in deciding]
    return together(trust)


def _votes(project: str, since: date | None) -> _Votes:
    found = Verdict.objects.filter(item__project=project, undone_at=None, round=F("item__round"))
    if since:
        found = found.filter(created_at__gte=datetime.combine(since, time(), UTC))
    columns = found.order_by().values_list("item_id", "user_id", "anomalous", "type", "seconds", "adjudication")
    told, settled = [], {}
    for item, user, anomalous, kind, seconds, adjudication in columns.iterator():
        if adjudication:
            settled[item] = anomalous
        else:
            told.append((item, user, anomalous, kind if anomalous else "", np.nan if seconds is None else seconds))
    numbers: dict[int, int] = {}
    kinds: dict[tuple[bool, str], int] = {}
    said = [kinds.setdefault((anomalous, kind), len(kinds)) for _, _, anomalous, kind, _ in told]
    items = [numbers.setdefault(each[0], len(numbers)) for each in told]
    people, users = np.unique([each[1] for each in told], return_inverse=True) if told else (np.zeros(0), [])
    return _Votes(
        items=np.array(items, np.int64),
        users=np.array(users, np.int64),
        anomalous=np.array([each[2] for each in told], np.int64),
        said=np.array(said, np.int64),
        seconds=np.array([each[4] for each in told], np.float64),
        people=people.tolist(),
        kinds=list(kinds),
        truth=np.array([settled.get(item, -1) for item in numbers], np.int64),
    )


def _fit(votes: _Votes) -> tuple[Fitted, Numbers]:
    """Return what can be learned of reviewers, and on how many verdicts of each: what nobody else judged says nothing.

    Which type it is stays out of it: there are too few verdicts of most to learn who confuses what.
    """
    count = np.bincount(votes.items, minlength=len(votes.truth))
    told = (count > 1) | (votes.truth >= 0)
    used = np.flatnonzero(told[votes.items]) if len(votes.items) else votes.items
    places = np.cumsum(told) - 1
    shared = np.bincount(votes.users[used], minlength=len(votes.people))
    fitted = fit(places[votes.items[used]], votes.users[used], votes.anomalous[used], 2, truth=votes.truth[told])
    return fitted, shared


def _whole(counts: agreement.Counts) -> Whole:
    from detection.engine.calibrate import interval  # reads scipy, which a web process need not load

    raters = counts.sum(1)
    usual = int(np.bincount(raters[raters > 1]).argmax()) if (raters > 1).any() else 0
    same, shared = agreement.agreed(counts)
    low, high = interval(same, shared)
    return Whole(
        alpha=agreement.krippendorff(counts),
        fleiss=agreement.fleiss(counts[raters == usual] if usual else counts[:0]),
        raters=usual,
        agreed=same,
        shared=shared,
        low=low,
        high=high,
    )


def _kinds(votes: _Votes) -> list[Kind]:
    counts = agreement.tally(votes.items, votes.said, max(1, len(votes.kinds)))
    often = counts.sum(0)
    found = []
    for number in np.argsort(-often, kind="stable")[: min(MOST, len(votes.kinds))]:
        anomalous, kind = votes.kinds[number]
        alpha = agreement.krippendorff(agreement.against(counts, number))
        found.append(Kind(anomalous, kind, int(often[number]), alpha))
    return found


def _pairs(votes: _Votes) -> list[Pair]:
    """Return the pairs that have items in common, of the busiest reviewers."""
    busy = np.argsort(-np.bincount(votes.users, minlength=len(votes.people)), kind="stable")[:MOST]
    kept = np.flatnonzero(np.isin(votes.users, busy))
    order = kept[np.lexsort((votes.users[kept], votes.items[kept]))]
    items, users, said = votes.items[order], votes.users[order], votes.anomalous[order]
    both: list[Numbers] = []  # [2, pairs of verdicts on one item], the lower user first
    for distance in range(1, int(np.bincount(items).max(initial=0))):
        at = np.flatnonzero(items[distance:] == items[:-distance])
        both.append(np.stack([at, at + distance]))
    first, second = np.concatenate(both, axis=1) if both else np.zeros((2, 0), np.int64)
    key = users[first] * len(votes.people) + users[second]
    order = np.argsort(key, kind="stable")
    found = []
    for part in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if len(order) else []:
        a, b = said[first[part]], said[second[part]]
        one, other = votes.people[users[first[part[0]]]], votes.people[users[second[part[0]]]]
        found.append(Pair(one, other, int((a == b).sum()), agreement.cohen(a, b)))
    return found


def _reviewers(votes: _Votes, fitted: Fitted, shared: Numbers) -> list[Reviewer]:
    names: Mapping[Any, Any] = get_user_model().objects.in_bulk(votes.people)
    found = []
    for number, user in enumerate(votes.people):
        mine = votes.users == number
        seconds = votes.seconds[mine & ~np.isnan(votes.seconds)]
        found.append(
            Reviewer(
                user=user,
                name=names[user].get_username(),
                verdicts=int(mine.sum()),
                seconds=float(np.median(seconds)) if len(seconds) else None,
                shared=int(shared[number]),
                accuracy=float(fitted.accuracy[number]) if shared[number] else None,
            )
        )
    return sorted(found, key=lambda each: (-each.verdicts, each.name))
