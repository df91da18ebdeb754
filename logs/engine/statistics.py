"""What a dataset holds, counted in one pass and bounded memory: 17 bytes a sequence beside tables of fixed size."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
import polars as pl

from duolog.plugins.types import LogSequence
from logs.engine.fingerprint import fingerprint
from logs.engine.masking import mask

NAMES = 1000
"""Distinct services and distinct types that are told apart; what comes later counts as `OTHER`."""
OTHER = "…"
POINTS = 200
BINS = 30
SHOWN = 10
CHINESE, ENGLISH = 0.8, 0.1
"""A sequence is Chinese if at least this share of its lines holds Chinese characters, English if at most that."""

Kind = tuple[int | None, str]
"""A label and an anomaly type."""


class Distinct:
    """How many distinct hashes were seen: exactly up to `size`, then within a few thousandths (Gibbons, 2001).

    Only hashes whose last `level` bits are zero are kept; when they are too many, `level` rises and half of them go.
    """

    def __init__(self, size: int = 1 << 18) -> None:
        self.size, self.level = size, 0
        self._kept: set[int] = set()

    def add(self, hashes: pl.Series) -> None:
        """Take unsigned 64-bit hashes in."""
        low = (1 << self.level) - 1
        self._kept.update(hashes.filter((hashes & low) == 0).to_list() if low else hashes.to_list())
        while len(self._kept) > self.size:
            self.level += 1
            low = (1 << self.level) - 1
            self._kept = {number for number in self._kept if not number & low}

    def __len__(self) -> int:
        return len(self._kept) << self.level


class Tally:
    """Counts sequences as they come; `result` is what the dataset's page and the API show."""

    def __init__(self) -> None:
        self.lines = 0
        self.kinds: Counter[Kind] = Counter()
        self.lengths: Counter[int] = Counter()
        self.services: Counter[str] = Counter()
        self.cells: Counter[tuple[str, Kind]] = Counter()
        self.languages: Counter[str] = Counter()
        self.growth: list[tuple[int, int]] = []
        self.distinct = Distinct()
        self.prints, self.labels, self.keys = bytearray(), array("b"), array("q")
        self._every, self._batches = 1, 0

    def add(self, sequences: Sequence[LogSequence]) -> None:
        """Take a batch in; some thousand sequences a call."""
        lines = list(chain.from_iterable(one.entries for one in sequences))
        masked = mask(lines)
        self.lines += len(lines)
        self.distinct.add(pl.Series(masked, dtype=pl.String).unique().hash())
        self._grow()
        rest = iter(masked)
        for one in sequences:
            self.prints += fingerprint(list(islice(rest, len(one.entries))))[:8]
            self.labels.append(-1 if one.label is None else one.label)
            self.keys.append(one.meta["pk"])
            self.lengths[len(one.entries)] += 1
            kind = one.label, _bounded(one.type or "", self.kinds, len(self.kinds))
            self.kinds[kind] += 1
            for name in services(one):
                service = name if name in self.services or len(self.services) < NAMES else OTHER
                self.services[service] += 1
                self.cells[service, kind] += 1
        self.languages.update(languages(lines, [len(one.entries) for one in sequences]))

    def _grow(self) -> None:
        """Keep at most `POINTS` points of the curve: when there are more, every other one goes."""
        self._batches += 1
        if self._batches % self._every == 0:
            self.growth.append((self.lines, len(self.distinct)))
        if len(self.growth) > POINTS:
            self.growth, self._every = self.growth[1::2], 2 * self._every

    def result(self) -> dict[str, Any]:
        """Return all that was counted, as JSON takes it."""
        last = (self.lines, len(self.distinct))
        return {
            "sequences": len(self.keys),
            "lines": self.lines,
            "distinct_lines": len(self.distinct),
            "labels": [_told(kind, count) for kind, count in self.kinds.most_common()],
            "lengths": spread(self.lengths) if self.lengths else None,
            "services": self._heat(),
            "languages": [{"language": name, "sequences": count} for name, count in self.languages.most_common()],
            "growth": [*self.growth, *([last] if self.growth[-1:] != [last] else [])],
            "duplicates": self._duplicates(),
        }

    def _heat(self) -> dict[str, Any]:
        names = [name for name, _ in self.services.most_common(SHOWN + 5)]
        kinds = [kind for kind, _ in sorted(self.kinds.items(), key=lambda row: (row[0][0] != 0, -row[1]))][: SHOWN + 5]
        return {
            "names": names,
            "kinds": [_told(kind, self.kinds[kind]) for kind in kinds],
            "sequences": [[self.cells[name, kind] for kind in kinds] for name in names],
        }

    def _duplicates(self) -> dict[str, Any]:
        """Compare template sequences; 64 bits of the hash are enough to count by."""
        prints = np.frombuffer(bytes(self.prints), np.uint64)
        labels, keys = np.frombuffer(self.labels, np.int8), np.frombuffer(self.keys, np.int64)
        _, first, owner, counts = np.unique(prints, return_index=True, return_inverse=True, return_counts=True)
        anomalous = np.bincount(owner[labels == 1], minlength=len(counts))
        normal = np.bincount(owner[labels == 0], minlength=len(counts))
        torn = (anomalous > 0) & (normal > 0)
        often = [place for place in np.argsort(-counts, kind="stable")[:SHOWN] if counts[place] > 1]
        return {
            "distinct": len(counts),
            "repeated": int(len(prints) - len(counts)),
            "contradictory": int((anomalous + normal)[torn].sum()),
            "most": [
                {"sequence": int(keys[first[at]]), "sequences": int(counts[at]), "anomalous": int(anomalous[at])}
                for at in often
            ],
        }


def services(one: LogSequence) -> set[str]:
    """Return the services that a sequence says it runs through: its field `services` (a list) or `service`."""
    found = one.meta.get("services") or one.meta.get("service")
    names = found if isinstance(found, list) else [found]
    return {name for name in names if isinstance(name, str) and name}


def languages(lines: Sequence[str], lengths: Sequence[int]) -> Counter[str]:
    """Count the sequences, of `lengths` lines each, that are Chinese (`zh`), English (`en`), mixed or `other`.

    A line is Chinese if it holds a Chinese character: most of the other characters of a Chinese log are levels, names
    and numbers.
    """
    text = pl.Series(lines, dtype=pl.String)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    chinese = np.bincount(owner[text.str.contains(r"\p{Han}").to_numpy()], minlength=len(lengths))
    latin = np.bincount(owner[text.str.contains("[A-Za-z]{2}").to_numpy()], minlength=len(lengths))
    share = chinese / np.maximum(lengths, 1)
    named = np.select(
        [(chinese == 0) & (latin == 0), share >= CHINESE, share <= ENGLISH], ["other", "zh", "en"], "mixed"
    )
    return Counter(named.tolist())


def spread(lengths: Counter[int]) -> dict[str, Any]:
    """Return least, mean, median and most lines a sequence, and a histogram; its last bin takes the longest hundredth.

    Each bin holds the lengths `from` to `to`, both included.
    """
    values = np.array(sorted(lengths))
    counts = np.array([lengths[value] for value in values])
    below = np.cumsum(counts)
    median, long = (int(values[np.searchsorted(below, share * below[-1])]) for share in (0.5, 0.99))
    least, most = int(values[0]), int(values[-1])
    width = max(1, -(-(long - least + 1) // BINS))
    edges = [*range(least, long + 1, width)]
    bins = [{"from": start, "to": most if start == edges[-1] else start + width - 1, "sequences": 0} for start in edges]
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        bins[min((value - least) // width, len(bins) - 1)]["sequences"] += count
    mean = float((values * counts).sum() / below[-1])
    return {"least": least, "mean": mean, "median": median, "most": most, "bins": bins}


def _told(kind: Kind, count: int) -> dict[str, Any]:
    return {"label": kind[0], "type": kind[1], "sequences": count}


def _bounded(name: str, known: Counter[Kind], size: int) -> str:
    return name if size < NAMES or any((label, name) in known for label in (0, 1, None)) else OTHER
