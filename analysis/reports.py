"""Reports: what analysts say about findings, written once for all that say the same, and true for each of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils.translation import gettext

from analysis import cases, grouping
from analysis.analyst import Chosen
from analysis.cases import Open
from analysis.engine import grounding, schema
from analysis.models import AnomalyReport, Finding, Item
from duolog.plugins.types import Case, Language, Report, Unexplained, Usage
from workers.context import clean
from workers.models import Run
from workers.states import FINAL

DONE, FAILED, WRITING = (AnomalyReport.State(name) for name in ("done", "failed", "writing"))
ERROR_CHARACTERS = 2_000
MOST_TOKENS, MOST_COST = 2**31, 1e6
"""What the columns hold."""


@dataclass(slots=True)
class Written:
    """What became of a finding: a report without what its lines do not bear out, or why there is none.

    `grounded` is the share of what was claimed that they do, `stands` that of what was left; `row` is where it is kept.
    """

    opened: Open
    key: str
    report: Report | None = None
    claims: list[Any] = field(default_factory=list)
    grounded: float = 1.0
    stands: float = 1.0
    usage: Usage = field(default_factory=Usage)
    copy_of: Written | None = None
    error: str = ""
    row: AnomalyReport | None = None


def key(opened: Open, chosen: Chosen, languages: tuple[Language, ...]) -> str:
    """Return what reports have in common that may be copied: lines but for their variable parts, analyst, languages.

    The project is part of it: what one tenant's lines made an analyst write is nobody else's.
    """
    parts = [opened.finding.project, opened.fingerprint.hex(), chosen.identity, *sorted(languages), schema.VERSION]
    return sha256(msgspec.json.encode(parts)).hexdigest()


# --- reading ----------------------------------------------------------------------------------------------------


def finished() -> QuerySet[AnomalyReport]:
    """Return the newest finished report of each finding; narrow it to some findings."""
    rows = AnomalyReport.objects.filter(state=DONE).order_by("finding_id", "-id")
    return rows.distinct("finding_id")


def newest(findings: Iterable[Finding]) -> dict[int, AnomalyReport]:
    """Return the newest finished report of each finding that has one, by the finding's number, in one query."""
    return {row.finding_id: row for row in finished().filter(finding__in=list(findings))}


def told_newest(name: str) -> Subquery:
    """Return what a column of the newest finished report of each finding holds, for queries on findings."""
    rows = AnomalyReport.objects.filter(finding=OuterRef("pk"), state=DONE).order_by("-id")
    return Subquery(rows.values(name)[:1])


def being_written(finding: Finding) -> AnomalyReport | None:
    """Return the report that is being written on a finding, with its `draft`, or None."""
    rows = AnomalyReport.objects.filter(finding=finding, state=WRITING).exclude(run__status__in=FINAL)
    return rows.order_by("-id").first()


def waiting(*, project: str, scan: int | None = None, text: bool = True) -> QuerySet[Finding]:
    """Return the open findings without a report, newest first.

    With `text` a verdict alone is none; without, a report that failed is one, too: nobody tries again by itself.
    """
    found = Finding.objects.filter(project=project, state=Finding.State.OPEN)
    found = found if scan is None else found.filter(score__scan=scan)
    reports = AnomalyReport.objects.filter(finding=OuterRef("pk"))
    reports = reports.filter(state=DONE).exclude(texts={}) if text else reports.filter(state__in=[DONE, FAILED])
    return found.exclude(Exists(reports)).order_by("-pk")


def document(row: AnomalyReport) -> dict[str, Any]:
    """Return a finished report as the public schema has it (`analysis.engine.schema`)."""
    return {
        "version": schema.VERSION,
        "anomalous": row.anomalous,
        "category": row.category or None,
        "type": row.type or None,
        "severity": row.severity or None,
        "confidence": row.confidence,
        "evidence": row.evidence,
        "texts": row.texts,
        "grounded": row.grounded,
    }


def text(row: AnomalyReport, language: str) -> dict[str, Any] | None:
    """Return the texts of a report in a language of Django's (zh-hans, en), else in another one, or None."""
    texts: dict[str, dict[str, Any]] = row.texts
    return texts.get(language[:2]) or next(iter(texts.values()), None)


# --- writing ----------------------------------------------------------------------------------------------------


def judged(opened: Open, key: str, said: Report | Unexplained) -> Written:
    """Return a fresh report without what does not stand in the lines; with an error if there is none to be kept."""
    if not _makes_sense(said.usage):
        text = gettext("its usage makes no sense: %(figures)s")
        return Written(opened, key, error=text % {"figures": str(said.usage)[:200]})
    if isinstance(said, Unexplained):
        return Written(opened, key, error=said.reason, usage=said.usage)
    if wrong := _wrong(said, opened.case):
        return Written(opened, key, error=wrong, usage=said.usage)
    found = _checked(opened, key, said)
    found.usage = said.usage
    return found


def copied(opened: Open, key: str, source: Written) -> Written | None:
    """Return a report that was written for a like finding as one on this, or None where it is less true here."""
    assert source.report is not None  # noqa: S101 - what failed is copied by nobody
    copy = _checked(opened, key, source.report)
    copy.copy_of, copy.usage = source, Usage(model=source.usage.model)
    return copy if copy.grounded >= source.stands else None


def original(*, project: str, key: str) -> Written | None:
    """Return the newest report with this key that was written and not copied, or None."""
    rows = AnomalyReport.objects.filter(key=key, finding__project=project, state=DONE, copy_of=None)
    row = rows.select_related("finding__score__scan__version").order_by("-id").first()
    if row is None:
        return None
    (opened,) = cases.build(project=project, findings=[row.finding])
    found = _checked(opened, key, schema.from_json(document(row)))
    found.row, found.usage = row, Usage(model=row.model)
    return found


def _checked(opened: Open, key: str, report: Report) -> Written:
    found = grounding.check(report, opened.case.sequence)
    claims = [msgspec.to_builtins(claim) for claim in found.claims]
    left = grounding.check(found.report, opened.case.sequence)
    return Written(opened, key, found.report, claims, found.share, left.share)


def keep(written: Iterable[Written], *, chosen: Chosen, run: Run) -> None:
    """Store reports, those that others are copied from first; called in the run's fenced transaction.

    What was being written in the run is replaced. A finding that is gone by now gets none.
    """
    AnomalyReport.objects.filter(run=run, state=WRITING).delete()
    kept = list(written)
    # The race: a person judges an item while we hold its findings and want the item, and each waits for the other. So
    # items come first. And retention or a person deletes a finding meanwhile: those that are there are held, too.
    grouping.lock(Item.objects.filter(findings__in=[each.opened.finding.pk for each in kept]).values("pk"))
    held = Finding.objects.select_for_update(no_key=True).filter(pk__in=[each.opened.finding.pk for each in kept])
    there = set(held.order_by("pk").values_list("pk", flat=True))
    kept = [each for each in kept if each.opened.finding.pk in there]
    fresh, copies = ([each for each in kept if bool(each.copy_of) == copy] for copy in (False, True))
    for part in (fresh, copies):
        for each in part:
            each.row = _row(each, chosen, run)
        AnomalyReport.objects.bulk_create([each.row for each in part if each.row])
    grouping.reported([each.row for each in kept if each.row and each.row.state == DONE])


def tidy() -> int:
    """Delete what runs that ended without success were writing, and return how much that was."""
    return AnomalyReport.objects.filter(state=WRITING).exclude(run__status__in=["queued", "running"]).delete()[0]


def _row(each: Written, chosen: Chosen, run: Run) -> AnomalyReport:
    source = each.copy_of.row if each.copy_of else None
    row = AnomalyReport(
        finding=each.opened.finding, key=each.key, analyst=chosen.name, version=chosen.version, run=run, copy_of=source
    )
    row.model, row.seconds, row.cost = clean(each.usage.model)[:200], each.usage.seconds, round(each.usage.cost, 6)
    row.prompt_tokens, row.completion_tokens = each.usage.prompt_tokens, each.usage.completion_tokens
    if each.report is None:
        row.state, row.error = FAILED, clean(each.error)[:ERROR_CHARACTERS]
        return row
    told = _clean(schema.as_json(each.report, grounded=each.grounded))
    row.state, row.anomalous, row.confidence, row.grounded = DONE, told["anomalous"], told["confidence"], each.grounded
    row.category, row.type, row.severity = (told[name] or "" for name in ("category", "type", "severity"))
    row.evidence, row.texts, row.claims = told["evidence"], told["texts"], _clean(each.claims)
    return row


def _wrong(report: Report, case: Case) -> str:
    """Return what makes a report unfit to be kept, or "": the seam checks its form, and not what names it uses."""
    try:
        schema.from_json(schema.as_json(report))
    except (AttributeError, TypeError, ValueError) as error:  # members of other types, as nothing stops a plugin
        return str(error)
    if report.anomalous and report.type not in case.types:
        return gettext("%(type)s is none of the types that may be answered") % {"type": report.type[:100]}
    return ""


def _makes_sense(usage: Usage) -> bool:
    try:
        counted = all(0 <= count < MOST_TOKENS for count in (usage.prompt_tokens, usage.completion_tokens))
        return counted and 0 <= usage.cost < MOST_COST and 0 <= usage.seconds < math.inf
    except TypeError:
        return False


def _clean(value: Any) -> Any:
    """Return JSON values as Postgres takes them."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(name): _clean(each) for name, each in value.items()}
    return [_clean(each) for each in value] if isinstance(value, list | tuple) else value
