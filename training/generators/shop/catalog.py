"""The texts of the shop, read from the TOML files beside this module and checked once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, Language] = ("zh", "en")
SERVICES = (
    "gateway", "user-service", "order-service", "stock-service", "payment-service", "message-service",
    "product-service", "coupon-service", "logistics-service", "risk-service",
)  # fmt: skip
"""In the order in which a larger shop adds them."""
WORDINGS = 10
"""Ways to say each thing, in each language."""


@dataclass(frozen=True, eq=False)
class Phrase:
    """One thing to say: its level, the wordings in each language, and the fields that go with it."""

    level: str
    zh: tuple[str, ...]
    en: tuple[str, ...]
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Operation:
    """One piece of a service's work; flows.toml explains the flags."""

    name: str
    service: str
    names: Phrase
    local: bool
    repeat: bool
    refusal: Phrase | None


@dataclass(frozen=True, eq=False)
class Flow:
    """A request's way through the shop."""

    path: str
    entry: str
    steps: tuple[Operation, ...]
    after: tuple[tuple[int, int], ...]  # positions in `steps`
    together: tuple[tuple[int, int], ...]

    services: frozenset[str]  # all who take part


@dataclass(frozen=True, eq=False)
class Fault:
    """One way to fail: what the struck service logs, and what its caller makes of it."""

    type: str
    status: int
    causes: tuple[Phrase, ...]
    seen: Phrase


@dataclass(frozen=True, eq=False)
class Catalog:
    """All of it."""

    flows: tuple[Flow, ...]
    faults: tuple[Fault, ...]
    lines: Mapping[str, Phrase]
    noise: tuple[Phrase, ...] = field(default=())


@cache
def load() -> Catalog:
    """Read the three files."""
    flows, faults, phrases = (
        tomllib.loads(files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))
        for name in ("flows", "faults", "phrases")
    )
    operations = {name: _operation(name, row) for name, row in flows["operation"].items()}
    return Catalog(
        flows=tuple(_flow(row, operations) for row in flows["flow"]),
        faults=tuple(_fault(row) for row in faults["fault"]),
        lines={name: _phrase(row) for name, row in phrases["line"].items()},
        noise=tuple(_phrase(row) for row in phrases["noise"]),
    )


def _phrase(row: Mapping[str, Any], level: str = "INFO") -> Phrase:
    return Phrase(row.get("level", level), tuple(row["zh"]), tuple(row["en"]), tuple(row.get("fields", ())))


def _operation(name: str, row: Mapping[str, Any]) -> Operation:
    refusal = _phrase(row["refusal"] | {"fields": row["fields"]}, "WARN") if "refusal" in row else None
    return Operation(name, row["service"], _phrase(row), row.get("local", False), row.get("repeat", False), refusal)


def _flow(row: Mapping[str, Any], operations: Mapping[str, Operation]) -> Flow:
    place = {name: position for position, name in enumerate(row["steps"])}
    pairs = {
        kind: tuple((place[one], place[other]) for one, other in row.get(kind, ())) for kind in ("after", "together")
    }
    steps = tuple(operations[name] for name in row["steps"])
    services = frozenset({"gateway", row["entry"], *(step.service for step in steps)})
    return Flow(row["path"], row["entry"], steps, **pairs, services=services)


def _fault(row: Mapping[str, Any]) -> Fault:
    causes = tuple(_phrase(cause) for cause in row["cause"])
    return Fault(row["type"], row["status"], causes, _phrase(row["seen"], "WARN"))
