"""Fingerprints: sequences that say the same, line for line, once their variable parts are masked."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate, chain, pairwise

from logs.engine.masking import mask

BYTES = 16


def fingerprints(sequences: Sequence[Sequence[str]]) -> list[bytes]:
    """Return for each sequence of lines the BLAKE2b hash, 16 bytes, of its template sequence (its masked lines).

    All are masked at once, so give some hundred sequences a call.
    """
    masked = mask(list(chain.from_iterable(sequences)))
    ends = accumulate(map(len, sequences), initial=0)
    return [fingerprint(masked[start:end]) for start, end in pairwise(ends)]


def fingerprint(masked: Sequence[str]) -> bytes:
    """Return the fingerprint of one sequence whose lines are masked already; a NUL, which no line holds, ends each."""
    return blake2b("".join(f"{line}\0" for line in masked).encode(), digest_size=BYTES).digest()
