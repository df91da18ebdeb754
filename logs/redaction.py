"""The redactor of a project: what is built in, and what the project wants otherwise."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import blake2b

from django.conf import settings

from duolog.plugins.types import BadRecord
from logs.engine.redaction import DEFAULTS, Redactor, Rule, Strategy
from logs.models import Project, RedactionRule

KNOWN_SECONDS = 15.0
"""How long a process takes a project's rules for what they were."""

_redactors: dict[int, tuple[float, tuple[Rule, ...], Redactor]] = {}


def of(project: Project) -> Redactor:
    """Return the redactor of a project."""
    known = _redactors.get(project.pk)
    if known and known[0] > time.monotonic():
        return known[2]
    rules = combined(RedactionRule.objects.filter(project=project).order_by("kind"))
    # Only rules that changed are compiled anew.
    redactor = known[2] if known and known[1] == rules else Redactor(rules, _key(project))
    _redactors[project.pk] = time.monotonic() + KNOWN_SECONDS, rules, redactor
    return redactor


def combined(rows: Iterable[RedactionRule]) -> tuple[Rule, ...]:
    """Return the rules that hold where some differ from what is built in; raise ValueError for one that is none."""
    rules = {rule.kind: rule for rule in DEFAULTS}
    for row in rows:
        if row.strategy == RedactionRule.Strategy.KEEP:
            rules.pop(row.kind, None)
        else:
            rules[row.kind] = Rule(row.kind, Strategy(row.strategy), row.pattern)
    return tuple(rules.values())


def redact(
    project: Project, texts: list[str], attributes: list[str], rejected: Sequence[BadRecord]
) -> tuple[list[str], list[str], list[BadRecord], Counter[str]]:
    """Return lines, attributes and rejected records without secrets, and how many there were of each kind.

    What names a record's fault goes, too, where it could quote the record.
    """
    redactor = of(project)
    texts, counts = redactor.redact(texts)
    attributes, more = redactor.redact(attributes)
    counts += more
    if not rejected:
        return texts, attributes, [], counts
    excerpts, more = redactor.redact([each.excerpt for each in rejected])
    reasons, _ = redactor.redact([str(each.reason) for each in rejected])
    counts += more
    kept = [
        replace(each, excerpt=excerpt, reason=each.reason if str(each.reason) == reason else reason)
        for each, excerpt, reason in zip(rejected, excerpts, reasons, strict=True)
    ]
    return texts, attributes, kept, counts


def _key(project: Project) -> bytes:
    """Return the project's key for hashes: it needs no place of its own, and is nobody else's."""
    return blake2b(project.slug.encode(), key=settings.SECRET_KEY.encode()[:64], person=b"duolog redaction").digest()
