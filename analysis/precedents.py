"""What people decided on findings that are like a new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.models import AnomalyReport, Finding, Item
from detection.line_vectors import Table
from duolog.plugins.types import LogSequence, Precedent
from logs import datasets
from logs.engine.fingerprint import fingerprints
from logs.engine.masking import mask
from logs.models import Sequence as Row

DECIDED = 500
"""Findings, the newest that people decided on, among which is looked."""
SHOWN = 3
NEAR = 0.9
"""Cosine from which on two sequences are alike."""

Redact = Callable[[Sequence[LogSequence]], list[LogSequence]]


class Past:
    """The decided findings of a project: those that say the same first, then those whose lines are nearest.

    Vectors are those that judging left in the table: nothing is encoded here. `redact` is what the lines go through
    before anything else.
    """

    def __init__(self, project: str, redact: Redact) -> None:
        decided = Finding.objects.filter(project=project).exclude(state=Finding.State.OPEN)
        newest = list(decided.select_related("item").order_by("-pk")[:DECIDED])
        rows = Row.objects.filter(pk__in=[each.sequence_id for each in newest])
        stored = {each.sequence.meta["pk"]: each.sequence for each in datasets.read_stored(rows)}
        reported = AnomalyReport.objects.filter(finding__in=newest, state=AnomalyReport.State.DONE).order_by("pk")
        types = dict(reported.values_list("finding_id", "type"))
        self._findings = newest
        self._sequences = redact([stored[each.sequence_id] for each in newest]) if newest else []
        self._marks = fingerprints([each.entries for each in self._sequences])
        self._types = [stored[each.sequence_id].type or types.get(each.pk, "") for each in newest]
        self._means: dict[str, NDArray[np.float32]] = {}

    def similar(
        self, finding: Finding, sequence: LogSequence, fingerprint: bytes, encoder: str
    ) -> tuple[Precedent, ...]:
        """Return up to three precedents of a finding, the nearest first."""
        others = [place for place, each in enumerate(self._findings) if each.pk != finding.pk]
        return tuple(
            self._precedent(place) for place, _ in self._nearest(others, sequence, fingerprint, encoder)[:SHOWN]
        )

    def decided(self, item: Item, sequence: LogSequence, encoder: str) -> list[tuple[Item, float]]:
        """Return up to three other items that were decided, and how near they are: 2 where they say the same."""
        others = [place for place, each in enumerate(self._findings) if each.item_id not in (None, item.pk)]
        found: dict[int, tuple[Item, float]] = {}
        for place, nearness in self._nearest(others, sequence, bytes(item.fingerprint), encoder):
            if other := self._findings[place].item:
                found.setdefault(other.pk, (other, nearness))
        return list(found.values())[:SHOWN]

    def _nearest(
        self, others: list[int], sequence: LogSequence, fingerprint: bytes, encoder: str
    ) -> list[tuple[int, float]]:
        """Return the places of those that are alike, with their nearness, the nearest first."""
        if not others:
            return []
        if encoder not in self._means:
            self._means[encoder] = means(encoder, self._sequences)
        mean, all_means = means(encoder, [sequence])[0], self._means[encoder]
        nearness = all_means @ mean if len(mean) == all_means.shape[1] else np.zeros(len(all_means), np.float32)
        nearness[[place for place in others if self._marks[place] == fingerprint]] = 2.0
        order = sorted(others, key=lambda place: -nearness[place])
        return [(place, float(nearness[place])) for place in order if nearness[place] >= NEAR]

    def _precedent(self, place: int) -> Precedent:
        anomalous = self._findings[place].state == Finding.State.CONFIRMED
        return Precedent(self._sequences[place].entries, anomalous, self._types[place] if anomalous else "")


def means(encoder: str, sequences: Sequence[LogSequence]) -> NDArray[np.float32]:
    """Return the mean of the known line vectors of each sequence, [sequences, dim], of length 1; 0 where none is known.

    `encoder` is the digest under which the vectors are kept.
    """
    from detection.engine.vectors import key, says

    masked = [mask(list(sequence.entries)) for sequence in sequences]
    keys = {line: key(says(line)) for lines in masked for line in lines}
    known = {mark: np.frombuffer(raw, "<f4") for mark, raw in Table().get(encoder, list(set(keys.values()))).items()}
    dim = len(next(iter(known.values()), np.empty(1)))
    found = np.zeros((len(sequences), dim), np.float32)
    for place, lines in enumerate(masked):
        if vectors := [known[keys[line]] for line in lines if keys[line] in known]:
            mean = np.mean(vectors, axis=0)
            found[place] = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return found
