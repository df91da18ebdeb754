"""A project's rules of redaction as people set them, what they redacted, and how well they find secrets."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from duolog.plugins.types import Reason
from logs import reasons
from logs.engine.planted_measure import Measured, measure
from logs.engine.redaction import Redactor, Rule, Strategy
from logs.engine.secret_kinds import KINDS
from logs.models import Project, RedactionRule
from logs.redaction import combined
from workers.jobs import JobFailed

if TYPE_CHECKING:
    from django.contrib.auth.models import User

DAYS = 30
"""Days of which redacted values are counted."""
MOST_OWN = 20
"""Patterns of its own that a project has: each runs on every line."""
KEPT = 20
"""Counts are kept for so many times as long as they took."""
MEASURED_FOR = 86_400
"""Seconds that figures of the same rules are kept."""

REDACTED = """
    SELECT source.project_id, told.kind, sum(told.count::bigint)
    FROM logs_source AS source JOIN logs_receipt AS receipt ON receipt.source_id = source.id,
         LATERAL jsonb_each_text(receipt.redacted) AS told (kind, count)
    WHERE source.project_id = ANY(%s) AND receipt.received_at > now() - make_interval(days => %s)
    GROUP BY 1, 2
"""


def create(*, project: Project, kind: str, strategy: str, pattern: str, user: User) -> RedactionRule:
    """Make a rule; raise JobFailed, in the reader's language, if it makes no sense or the project has one."""
    check(kind, strategy, pattern)
    if pattern and RedactionRule.objects.filter(project=project).exclude(pattern="").count() >= MOST_OWN:
        text = gettext("project %(project)s has %(most)d patterns of its own already, and no more are allowed")
        raise JobFailed(text % {"project": project.slug, "most": MOST_OWN})
    try:
        with transaction.atomic():
            return RedactionRule.objects.create(
                project=project, kind=kind, strategy=strategy, pattern=pattern, set_by=user
            )
    except IntegrityError as error:
        text = gettext("project %(project)s has a rule for %(kind)s already")
        raise JobFailed(text % {"project": project.slug, "kind": kind}) from error


def change(row: RedactionRule, *, user: User, strategy: str | None = None, pattern: str | None = None) -> None:
    """Change a rule, and note who did; raise JobFailed if it would make no sense."""
    wanted = {"strategy": strategy or row.strategy, "pattern": row.pattern if pattern is None else pattern}
    check(row.kind, **wanted)
    RedactionRule.objects.filter(pk=row.pk).update(**wanted, set_by=user, set_at=Now())
    row.refresh_from_db()


def check(kind: str, strategy: str, pattern: str) -> None:
    """Raise JobFailed, in the reader's language, if this is no rule."""
    looked_for = Strategy.MASK if strategy == RedactionRule.Strategy.KEEP else Strategy(strategy)
    try:
        Rule(kind, looked_for, pattern)
    except ValueError as error:
        reason = error.args[0]
        raise JobFailed(reasons.shown(reason) if isinstance(reason, Reason) else str(error)) from error


def redacted(projects: Iterable[Project]) -> dict[int, Counter[str]]:
    """Return how many values of each kind were redacted in the last `DAYS`, by the project's primary key.

    One query; figures that took long to count are not the newest.
    """
    keys = sorted(project.pk for project in projects)
    name = f"redacted-{blake2b(repr(keys).encode(), digest_size=16).hexdigest()}"
    found: dict[int, Counter[str]] | None = cache.get(name)
    if found is None:
        began = time.monotonic()
        found = {key: Counter() for key in keys}
        with connection.cursor() as cursor:
            cursor.execute(REDACTED, [keys, DAYS])
            for key, kind, count in cursor:
                found[key][kind] = int(count)
        cache.set(name, found, int((time.monotonic() - began) * KEPT))
    return found


def rules_of(project: Project) -> tuple[Rule, ...]:
    """Return the rules that hold in a project, as they stand in the database now."""
    return combined(RedactionRule.objects.filter(project=project).order_by("kind"))


@lru_cache(maxsize=16)
def example(rules: tuple[Rule, ...]) -> Redactor:
    """Return a redactor to try rules with.

    Its key is none of a project's: else somebody could find out which number a stored hash stands for by trying them.
    """
    return Redactor(rules, b"example")


def measured(rules: tuple[Rule, ...], *, asked: bool = False) -> Measured | None:
    """Return recall and precision of rules on planted secrets; None if nobody asked, and they have to be worked out.

    What is built in takes a quarter of a second, and is worked out unasked; patterns of users may be slow.
    """
    name = f"measured-{blake2b(repr(rules).encode(), digest_size=16).hexdigest()}"
    found: Measured | None = cache.get(name)
    if found is None and (asked or all(rule.kind in KINDS for rule in rules)):
        found = measure(example(rules))
        cache.set(name, found, MEASURED_FOR)
    return found
