"""Findings as analysts get them: redacted, without labels, with what people decided on similar ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.models import Finding
from analysis.precedents import Past
from duolog.plugins.types import Case, LogSequence
from logs import datasets, redaction
from logs.engine import taxonomy
from logs.engine.fingerprint import fingerprints
from logs.models import Label, Project
from logs.models import Sequence as Row


@dataclass(frozen=True, slots=True)
class Open:
    """A finding, what an analyst sees of it, and the fingerprint of that."""

    finding: Finding
    case: Case
    fingerprint: bytes


def build(*, project: str, findings: Iterable[Finding]) -> list[Open]:
    """Return the cases of findings of one project, in order, without precedents (`with_precedents`).

    All that can leave the house goes through the project's redactor here: lines and the sequence's id. Labels and what
    else came with a sequence stay behind: an analyst must not read the answer, and nobody knows what else is in there.
    """
    rows = list(findings)
    wanted = Row.objects.filter(pk__in=[row.sequence_id for row in rows])
    stored = {each.sequence.meta["pk"]: each.sequence for each in datasets.read_stored(wanted)}
    sequences = redacted(project=project, sequences=[stored[row.sequence_id] for row in rows])
    names = types(project=project)
    marks = fingerprints([sequence.entries for sequence in sequences])
    return [
        Open(row, Case(sequence, row.score.value, row.score.scan.threshold, tuple(row.score.blame or ()), names), mark)
        for row, sequence, mark in zip(rows, sequences, marks, strict=True)
    ]


def with_precedents(opened: Open, past: Past) -> Case:
    """Return the case with what people decided on similar findings."""
    encoder = opened.finding.score.scan.version.encoder_digest
    return replace(opened.case, similar=past.similar(opened.finding, opened.case.sequence, opened.fingerprint, encoder))


def redacted(*, project: str, sequences: Sequence[LogSequence]) -> list[LogSequence]:
    """Return sequences as they may be shown to an analyst: id, lines and times, without secrets."""
    redactor = redaction.of(Project.objects.get(slug=project))
    texts, _ = redactor.redact([text for sequence in sequences for text in (sequence.id, *sequence.entries)])
    rest = iter(texts)
    return [
        LogSequence(next(rest), tuple(next(rest) for _ in sequence.entries), times=sequence.times)
        for sequence in sequences
    ]


def types(*, project: str) -> tuple[str, ...]:
    """Return the anomaly types that may be answered: those Duolog knows, and those of the project's labels."""
    stated = Label.objects.filter(sequence__dataset__project__slug=project, value=1).exclude(type="")
    own = stated.order_by("type").values_list("type", flat=True).distinct()
    return tuple(dict.fromkeys((*taxonomy.types(), *own)))
