"""What can be wrong: categories, types and severities, by the names under which labels and reports hold them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

CATEGORIES = {"系统": "system", "网络": "network", "数据库": "database", "应用": "application", "安全": "security"}
"""The five categories and their English names."""
SEVERITIES = ("low", "medium", "high", "critical")
"""From the mildest to the worst."""


@dataclass(frozen=True, slots=True)
class AnomalyType:
    """One way to go wrong; `name` is Chinese, and `advice` what to do about it, by language."""

    name: str
    english: str
    category: str
    severity: str
    advice: Mapping[str, tuple[str, ...]]


@cache
def types() -> Mapping[str, AnomalyType]:
    """Return the types that Duolog knows by itself, by name; a project's labels may hold others."""
    told = tomllib.loads(files(__package__).joinpath("taxonomy.toml").read_text(encoding="utf-8"))
    return {
        name: AnomalyType(
            name,
            row["english"],
            row["category"],
            row["severity"],
            {language: tuple(advice) for language, advice in row["advice"].items()},
        )
        for name, row in told.items()
    }
