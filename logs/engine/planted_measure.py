"""Recall and precision of a redactor on planted secrets and decoys (`planted.py`).

A secret counts as found only if no `PIECE` characters of it in a row are left; a decoy counts against precision if
anything in it changed. Kinds that the redactor does not look for are kept on purpose, and count for neither.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from logs.engine.planted import Line, decoys, planted
from logs.engine.redaction import Redactor

PIECE = 5  # characters in a row that give a secret away


@dataclass(frozen=True, slots=True)
class Found:
    """Of one kind: how many secrets were planted, how many found, and how many decoys were `wrong`ly taken for it.

    `found` is None for a kind that is kept.
    """

    planted: int
    found: int | None
    wrong: int = 0

    @property
    def recall(self) -> float | None:
        """The share of the planted ones that was found; None for a kind that is kept, or never planted."""
        return self.found / self.planted if self.planted and self.found is not None else None

    @property
    def precision(self) -> float | None:
        """The share that is a secret of what was taken for one; None if nothing was, or the kind is never planted."""
        taken = (self.found or 0) + self.wrong
        return (self.found or 0) / taken if taken and self.planted and self.found is not None else None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a redactor does to planted secrets and decoys; `beside`: found with more than themselves."""

    kinds: dict[str, Found]
    decoys: int
    touched: int
    beside: int

    @property
    def secrets(self) -> int:
        """How many secrets were planted of the kinds that are looked for."""
        return sum(each.planted for each in self.kinds.values() if each.found is not None)

    @property
    def found(self) -> int:
        """How many of them were found."""
        return sum(each.found or 0 for each in self.kinds.values())

    @property
    def recall(self) -> float | None:
        """The share of secrets that was found; None if none is looked for."""
        return self.found / self.secrets if self.secrets else None

    @property
    def precision(self) -> float | None:
        """Found secrets, by these and the decoys that were touched; None if there is neither."""
        return self.found / (self.found + self.touched) if self.found + self.touched else None


@cache
def labelled() -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Return the labelled set that everybody is measured on, secrets and decoys: made once in a process."""
    return tuple(planted()), tuple(decoys())


def measure(
    redactor: Redactor, secrets: Sequence[Line] | None = None, harmless: Sequence[Line] | None = None
) -> Measured:
    """Redact planted secrets and decoys, those of `labelled` unless others are given, and count."""
    secrets = labelled()[0] if secrets is None else secrets
    harmless = labelled()[1] if harmless is None else harmless
    planted_of = Counter(line.kind for line in secrets)
    wanted = [line for line in secrets if line.kind in redactor.strategies]
    found, beside = Counter[str](), 0
    for line, redacted in zip(wanted, redactor.redact([line.text for line in wanted])[0], strict=True):
        if not is_left(line, redacted):
            found[line.kind] += 1
            beside += is_beside(line, redacted)
    after, _ = redactor.redact([line.text for line in harmless])
    touched = [line.text for line, redacted in zip(harmless, after, strict=True) if line.text != redacted]
    # A decoy counts for each kind that it was taken for.
    wrong = Counter(kind for text in touched for kind in redactor.redact([text])[1])
    kinds = {
        kind: Found(planted_of[kind], found[kind] if kind in redactor.strategies else None, wrong[kind])
        for kind in dict.fromkeys([*planted_of, *redactor.strategies])
    }
    return Measured(kinds, len(harmless), len(touched), beside)


def is_left(line: Line, redacted: str) -> bool:
    """Tell whether a piece of the secret is left that the rest of the line does not hold anyway."""
    rest, size = line.text.replace(line.secret, "", 1), min(PIECE, len(line.secret))
    pieces = (line.secret[at : at + size] for at in range(len(line.secret) - size + 1))
    return any(piece in redacted and piece not in rest for piece in pieces)


def is_beside(line: Line, redacted: str) -> bool:
    """Tell whether anything beside the secret changed."""
    before, _, after = line.text.partition(line.secret)
    return not (redacted.startswith(before) and redacted.endswith(after))
