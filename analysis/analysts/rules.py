"""The analyst without a model: a type by the words of the field, and by a few simple rules about the course.

It is always there, takes a millisecond, needs nothing and sends nothing, and is the floor that a model must beat.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from analysis.engine import verdict
from analysis.engine.signs import Read
from analysis.engine.verdict import Verdict
from duolog.plugins.points import Analyst
from duolog.plugins.types import Case, Context, Draft, Evidence, Language, Report, Wording
from logs.engine import taxonomy


class Rules(Analyst):
    """Names the type whose words stand in the most blamed and loudest lines; see `analysis.engine.verdict`."""

    def explain(
        self, cases: Sequence[Case], languages: Sequence[Language], ctx: Context, draft: Draft
    ) -> Sequence[Report]:
        """Return one report a case; the same case gives the same report."""
        reports = []
        for case in cases:
            ctx.checkpoint()
            reports.append(report(verdict.judge(case), languages))
            ctx.advance()
        return reports


def report(judged: Verdict, languages: Sequence[Language]) -> Report:
    """Return a verdict in words."""
    return Report(
        anomalous=bool(judged.type),
        category=judged.category,
        type=judged.type,
        severity=judged.severity,
        confidence=judged.confidence,
        evidence=tuple(Evidence(one.line, one.words) for one in judged.lines if one.words),
        texts={language: wording(judged, language) for language in languages},
        probabilities=judged.probabilities,
    )


def wording(judged: Verdict, language: Language) -> Wording:
    """Say it in one language."""
    texts, about = _texts()[language], taxonomy.types().get(judged.type)
    told = [_filled(texts, name, *lines) for name, *lines in _told(judged)]
    if judged.cut:
        told.append(texts["cut"])
    if not judged.type:
        return Wording(texts["normal"], texts["gap"].join(told), ())
    name = about.english if about and language == "en" else judged.type
    place = judged.lines[0]
    summary = texts["summary" if place.component else "summary_without"].format(
        who=place.component, n=place.line + 1, type=name[0].upper() + name[1:]
    )
    return Wording(summary, texts["gap"].join(told), about.advice[language] if about else ())


def _told(judged: Verdict) -> list[tuple[Any, ...]]:
    """Return the sentences by their names, each with the lines that it speaks of."""
    lines = judged.lines
    match judged.how:
        case "healthy" | "nothing":
            return [(judged.how,)]
        case "recovered" | "refused":
            return [(judged.how, *lines)]
        case "shape":
            return [(f"shapes {judged.type}", *lines), *_end(judged)]
    told: list[tuple[Any, ...]] = [] if judged.how == "words" else [(judged.how,)]
    told.append(("reports", lines[0]))
    if judged.after:
        told.append(("follows", lines[0], judged.after))
    return [*told, *_end(judged)]


def _end(judged: Verdict) -> list[tuple[Any, ...]]:
    last = judged.last
    if last is None or last in judged.lines:
        return []
    if last.complains and "retry" in last.signs:
        return [("retrying", judged.lines[0], last)]
    if last.complains and "failed" in last.signs:
        return [("failed", judged.lines[0], last)]
    return [("passed", judged.lines[0], last)] if "end" in last.signs else []


def _filled(texts: Mapping[str, Any], name: str, one: Read | None = None, other: Read | None = None) -> str:
    text: str
    if name.startswith("shapes "):
        text = texts["shapes"][name.removeprefix("shapes ")]
    else:
        named = (other or one) if name == "follows" else one
        text = texts[f"{name}_without" if named and not named.component and f"{name}_without" in texts else name]
    values: dict[str, Any] = {}
    if one:
        values |= {"n": one.line + 1, "who": one.component, "said": one.words}
    if other:
        values |= {"m": other.line + 1, "whom": other.component, "told": other.words}
    return text.format(**values)


@cache
def _texts() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("rules.toml").read_text(encoding="utf-8"))["texts"]
