"""What a line says beside its words: level, service, the time since the line before, and values out of the ordinary.

All of it is coarse, so that sequences that say the same still look the same and are scored once, and relative, so that
it means the same in a system never seen: a service is the first, second, ... to speak, and a value is compared with
what stood at the same place of the same masked line in training.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from duolog.plugins.types import LogSequence
from logs.engine import statement
from logs.engine.masking import mask, variables

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SERVICES = 8
"""Services that are told apart in a sequence; those that speak up later count as the last of them."""
GAPS = (1.0, 10.0, 60.0, 600.0)
"""Seconds between two lines at which the next bucket begins."""
DEVIATIONS = (-5.0, 2.5, 5.0, 10.0)
"""Edges of the buckets of a value's deviation; the second bucket is the usual one, and says nothing."""
LEAST = 20
"""Values that a place of a masked line must have had in training before a new one is compared with them."""
NUMBER = re.compile(r"([0-9]{1,9}(?:\.[0-9]+)?)(?:[a-zA-Zµ]{1,3}|%)?")
LINES = 100_000
"""Raw lines that are kept in mind, as in `VectorStore`."""

KINDS = ("level", "service", "gap", "value")
SIZES = (len(LEVELS), SERVICES, len(GAPS) + 1, len(DEVIATIONS) + 1)
FIRST = tuple(accumulate(SIZES, initial=0))[:-1]
CODES = sum(SIZES)
"""How many different things the codes of `Inputs.codes` can say."""

Codes = NDArray[np.int32]


class Inputs:
    """Reads the codes of lines, given the `history` of values: median and scale of the logarithm, by place."""

    def __init__(self, history: dict[bytes, tuple[float, float]] | None = None) -> None:
        self.history = history or {}
        self._forget()

    def _forget(self) -> None:
        self._raw: dict[str, int] = {}
        self._said = np.empty((0, 3), np.int32)  # of each raw line: level, component, value

    @classmethod
    def learn(cls, sequences: Iterable[LogSequence]) -> Inputs:
        """Take the history of values from training's sequences; robust, so that anomalies in it do little harm."""
        lines = list(dict.fromkeys(chain.from_iterable(sequence.entries for sequence in sequences)))
        found: dict[tuple[str, int], list[float]] = {}
        for masked, values in zip(mask(lines), variables(lines), strict=True):
            for place, value in enumerate(values):
                if number := NUMBER.fullmatch(value):
                    found.setdefault((masked, place), []).append(float(number[1]))
        history = {}
        for (masked, place), numbers in found.items():
            if len(numbers) >= LEAST:
                logs = np.log1p(numbers)
                median = float(np.median(logs))
                # 1.4826 makes a median deviation a standard one; where all are equal, a tenth is still usual
                history[_key(masked, place)] = median, 1.4826 * float(np.median(np.abs(logs - median))) + 0.1
        return cls(history)

    def codes(self, sequences: Sequence[LogSequence]) -> list[Codes]:
        """Return [lines, 4] for each sequence: a number below CODES for each of KINDS, -1 where there is none."""
        if len(self._raw) > LINES:
            self._forget()
        lines = list(chain.from_iterable(sequence.entries for sequence in sequences))
        self._read(list(dict.fromkeys(line for line in lines if line not in self._raw)))
        flat = self._said[np.fromiter(map(self._raw.__getitem__, lines), np.int64, len(lines))]
        codes = np.full((len(lines), len(KINDS)), -1, np.int32)
        codes[:, 0], codes[:, 3] = flat[:, 0], flat[:, 2]
        ends = list(accumulate((len(sequence.entries) for sequence in sequences), initial=0))
        for sequence, (start, end) in zip(sequences, pairwise(ends), strict=True):
            order: dict[int, int] = {-1: -1}
            codes[start:end, 1] = [
                order.setdefault(component, min(len(order), SERVICES) - 1) for component in flat[start:end, 1].tolist()
            ]
            if sequence.times:
                codes[start + 1 : end, 2] = np.searchsorted(GAPS, np.diff(sequence.times), "right")
        codes += np.where(codes < 0, 0, np.array(FIRST, np.int32))
        return [codes[start:end] for start, end in pairwise(ends)]

    def _read(self, lines: list[str]) -> None:
        """Learn raw lines by heart; what a masked line tells is read once, values only where they have a history."""
        known: dict[str, tuple[int, int, list[tuple[int, float, float]]]] = {}
        said = np.empty((len(lines), 3), np.int32)
        owners, compared = [], []  # of each value: its line; itself, and the median and scale of its place
        for number, (masked, values) in enumerate(zip(mask(lines), variables(lines), strict=True)):
            if masked not in known:
                known[masked] = (*_speaker(masked), self._places(masked, len(values)))
            said[number, 0], said[number, 1], places = known[masked]
            for place, median, scale in places:
                if found := NUMBER.fullmatch(values[place]):
                    owners.append(number)
                    compared.append((float(found[1]), median, scale))
        said[:, 2] = _deviations(len(lines), owners, compared)
        self._raw.update(zip(lines, range(len(self._raw), len(self._raw) + len(lines)), strict=True))
        self._said = np.concatenate([self._said, said])

    def _places(self, masked: str, count: int) -> list[tuple[int, float, float]]:
        """Return those of a masked line's `count` places that have a history, with its median and scale."""
        histories = ((place, self.history.get(_key(masked, place))) for place in range(count if self.history else 0))
        return [(place, *history) for place, history in histories if history]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the history as arrays: keys [K, 16] and numbers [K, 2]."""
        keys = np.frombuffer(b"".join(self.history), np.uint8).reshape(-1, 16)
        return {"history.keys": keys, "history.values": np.array(list(self.history.values())).reshape(-1, 2)}

    @classmethod
    def restore(cls, keys: NDArray[np.uint8], values: NDArray[np.float64]) -> Inputs:
        """Take up what `arrays` gave."""
        return cls({key.tobytes(): (float(a), float(b)) for key, (a, b) in zip(keys, values, strict=True)})


def _speaker(masked: str) -> tuple[int, int]:
    """Return the level of a masked line, and a number for the component that speaks; -1 where it names none."""
    level, component, _ = statement.read(masked)
    digest = blake2b(component.encode(), digest_size=3).digest()  # needs no table that grows
    return LEVELS.index(level) if level else -1, int.from_bytes(digest) if component else -1


def _deviations(count: int, owners: Sequence[int], compared: Sequence[tuple[float, float, float]]) -> NDArray[np.int32]:
    """Return for each of `count` lines the bucket of the value that stands out most, high ones first, or -1."""
    values, medians, scales = np.array(compared).reshape(-1, 3).T
    deviations = (np.log1p(values) - medians) / scales
    low, high, at = np.zeros(count), np.zeros(count), np.array(owners, np.int64)
    np.minimum.at(low, at, deviations)
    np.maximum.at(high, at, deviations)
    buckets = np.searchsorted(DEVIATIONS, np.where(high >= DEVIATIONS[1], high, low), "right")
    return np.where(buckets == 1, -1, buckets).astype(np.int32)


def _key(masked: str, place: int) -> bytes:
    return blake2b(f"{place} {masked}".encode(), digest_size=16).digest()
