"""A stream of a shop whose sequences tell by their number what is right: for tests of what is learned from verdicts."""

from __future__ import annotations

import random

from logs import datasets
from logs.models import Sequence

STEPS = [
    "INFO gateway request accepted", "INFO order created", "INFO payment taken", "DEBUG cache hit",
    "INFO parcel packed", "INFO parcel sent", "INFO mail queued",
]  # fmt: skip
TABLES = ["orders", "payments", "parcels", "mails", "customers"]
TIMEOUT, BACKWARDS, AUDIT = "超时异常", "状态冲突", ""


def kind(number: int) -> str | None:
    """What the sequence of this number is: a type, an audit (normal, and rare), or None, normal as most."""
    return {0: TIMEOUT, 7: AUDIT}.get(number % 15, BACKWARDS if number % 8 == 1 else None)


def lines(number: int) -> list[str]:
    chance = random.Random(number)
    found = [step for step in STEPS for _ in range(chance.choice([1, 1, 1, 1, 0, 2]))] or STEPS[:1]
    table = chance.choice(TABLES)
    if kind(number) == TIMEOUT:
        found.insert(chance.randrange(len(found) + 1), f"ERROR table {table} timed out, giving up")
    elif kind(number) == AUDIT:
        found[1:1] = [f"INFO audit of {table} begins", f"INFO audit of {table} ends"]
    elif kind(number) == BACKWARDS:  # every line is usual: without labels nobody could know
        found += ["INFO parcel sent", "INFO parcel packed", "INFO order created"]
    return found


def store(start: int, count: int, project: str = "default") -> list[Sequence]:
    home = datasets.get_or_create(project=project, name="stream")
    told = [(number, lines(number)) for number in range(start, start + count)]
    return Sequence.objects.bulk_create(
        Sequence(dataset=home, key=f"s{number}", entries=entries, length=len(entries)) for number, entries in told
    )
