"""What people decide about templates: another text, a merge, a split; with a preview of what would move, and a record.

A change concerns lines that come from now on; stored lines keep their number, and follow merges when they are read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext

from logs.engine.forms import HEAD
from logs.engine.masking import MASK
from logs.engine.templates import Miner
from logs.models import Template, TemplateChange
from logs.templates import forget, lock, point, record
from workers.jobs import JobFailed

Action = TemplateChange.Action


@dataclass(frozen=True, slots=True)
class Move:
    """A masked line, and the templates that lines like it are of before and after; None: a new one of its own."""

    example: str
    before: Template | None
    after: Template | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A change that makes sense, not made yet: `row` as it would be, and what is said of it before and after."""

    action: Action
    row: Template
    before: str
    after: str

    def decides_alone(self, other: Template) -> bool:
        """Tell whether lines of another template, which evidence merged into this one, have to fit the new text now."""
        is_decided = self.row.fixed is not None and self.row.merged_into is None
        return is_decided and other.merged_into_id == self.row.pk is not None and other.edited_at is None


def plan(row: Template, action: str, *, pattern: str = "", into: Template | None = None) -> Plan:
    """Return what it would be; raise JobFailed, with what to do, where it makes no sense.

    `edit`: `pattern` is the text from now on, empty: the mined one again. `merge`: lines are of `into`. `split`: lines
    that fit `pattern` get a template of their own; a merged template becomes one again, and needs no pattern.
    """
    if action == Action.MERGE:
        return _merge(row, into)
    if action == Action.EDIT:
        text = _checked(row, pattern) if pattern.strip() else None
        new = _like(row, fixed=text)
        return Plan(Action.EDIT, new, row.text, new.text)
    if action != Action.SPLIT:
        raise JobFailed(gettext("A template can be edited, merged or split, not %(action)s.") % {"action": action})
    if row.merged_into is not None:
        new = _like(row, merged_into=None, fixed=row.text)
        return Plan(Action.SPLIT, new, row.merged_into.text, new.text)
    text = _checked(row, pattern)
    number = int.from_bytes(hashlib.blake2b(f"split\0{text}".encode(), digest_size=8).digest()) >> 1
    new = Template(project_id=row.project_id, number=number, fixed=text, pattern=text)
    old = Template.objects.filter(project=row.project_id, number=number).first()
    return Plan(Action.SPLIT, _like(old, fixed=text, merged_into=None) if old else new, row.text, text)


def preview(wanted: Plan) -> list[Move]:
    """Return which of the project's known masked lines would be of another template."""
    rows = {
        row.number: row for row in Template.objects.filter(project=wanted.row.project_id).select_related("merged_into")
    }
    before = Miner(limit=settings.MAX_TEMPLATES)
    before.restore(map(record, rows.values()))
    rows_after = rows | {wanted.row.number: wanted.row}
    after = Miner(limit=settings.MAX_TEMPLATES)
    after.restore(
        record(each) | ({"examples": []} if wanted.decides_alone(each) else {}) for each in rows_after.values()
    )
    moves = []
    for example in dict.fromkeys(each for row in rows.values() for each in row.examples):
        old, new = before.find(example), after.find(example)
        if old != new:
            moves.append(Move(example, rows.get(old or 0), rows_after.get(new or 0)))
    return moves


@transaction.atomic
def apply(row: Template, action: str, *, user: User, pattern: str = "", into: Template | None = None) -> Template:
    """Make the change, note who made it, and return the template that it made or changed; raise as `plan` does."""
    now = lock(row.project_id)
    # Looked at again under the lock: what was shown may have been merged since.
    again = Template.objects.select_related("merged_into")
    target = again.get(pk=into.pk) if into else None
    wanted = plan(again.get(pk=row.pk), action, pattern=pattern, into=target)
    new = wanted.row
    new.changed_at, new.edited_at, new.edited_by = now, now, user
    if new.pk is None:
        new.save()
    else:
        new.save(update_fields=["fixed", "merged_into", "changed_at", "edited_at", "edited_by"])
    if new.merged_into is not None:
        point(new, new.merged_into, now)
    else:
        others = [each.pk for each in Template.objects.filter(merged_into=new) if wanted.decides_alone(each)]
        Template.objects.filter(pk__in=others).update(examples=[], changed_at=now)
    TemplateChange.objects.create(
        template=new, action=wanted.action, before=wanted.before, after=wanted.after, set_by=user
    )
    transaction.on_commit(partial(forget, new.project_id))
    return new


def _merge(row: Template, into: Template | None) -> Plan:
    if into is None or into.project_id != row.project_id:
        raise JobFailed(gettext("Name the template to merge into: one of the same project."))
    target = into.merged_into or into
    if target.pk == row.pk or row.merged_into_id == target.pk:
        raise JobFailed(gettext("The two templates are one already."))
    return Plan(Action.MERGE, _like(row, merged_into=target), row.text, target.text)


def _checked(row: Template, pattern: str) -> str:
    """Return the text with single spaces; raise JobFailed where it cannot be a template's."""
    text = " ".join(pattern.split())
    if not any(char.isalnum() for char in text.replace(MASK, "")):
        raise JobFailed(gettext("The text needs a word beside <*>: it would fit every line."))
    if "\0" in text or len(text) > HEAD:
        raise JobFailed(gettext("The text has more than %(most)d characters, or a NUL character.") % {"most": HEAD})
    others = Template.objects.filter(project=row.project_id, fixed=text, merged_into=None).exclude(pk=row.pk)
    if others.exists():
        raise JobFailed(gettext("Another template has this text already; merge the two instead."))
    return text


def _like(row: Template, **changes: Any) -> Template:
    """Return another object of the same row, changed."""
    values = {each.attname: getattr(row, each.attname) for each in Template._meta.concrete_fields}
    new = Template(**values)
    new._state.adding = False
    new.merged_into = row.merged_into
    for name, value in changes.items():
        setattr(new, name, value)
    return new
