"""A project's items of review in the files of other tools, and what people said there as verdicts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO

from django.db.models import F, Q

from analysis import cases, review
from analysis.engine import exchange
from analysis.engine.exchange import Answer, Given, Task
from analysis.models import Item, Verdict
from analysis.review import Said
from duolog.plugins.types import BadRecord, Reason
from workers.jobs import JobFailed

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser

PAGE = 200
"""Items that are read at once."""
MOST = 5000
"""Rows of one file: a request must end."""
TOLD = 100
"""Rows that could not be taken, of which the reason is told."""
SETTLED = (Item.State.CONFIRMED, Item.State.DISMISSED)
UNKNOWN = Reason("the project has no such item")


@dataclass
class Taken:
    """What became of a file's rows; `unchanged` said what the same person had said, `unanswered` nothing."""

    recorded: int = 0
    unchanged: int = 0
    unanswered: int = 0
    failed: int = 0
    errors: list[BadRecord] = field(default_factory=list)

    def fail(self, row: int, reason: str, excerpt: str = "") -> None:
        """Count a row that was not taken."""
        self.failed += 1
        if len(self.errors) < TOLD:
            self.errors.append(BadRecord(row, reason, excerpt))


def export(*, project: str, form: str, user: AbstractBaseUser) -> Iterator[bytes]:
    """Yield a file of `form` (`exchange.FORMS`) of the project's items, but those merged or muted, in bounded memory.

    Review is blind: of an item that is not settled, a person gets no verdicts but their own.
    """
    return exchange.write(_tasks(project, user), form)


def labelling_config(*, project: str) -> str:
    """Return the XML for a Label Studio project that takes the export, with the types that may be answered."""
    return exchange.labelling_config(cases.types(project=project))


def take(stream: BinaryIO, *, project: str, user: AbstractBaseUser) -> Taken:
    """Record what was answered in the first MOST rows of a file that another tool exported, as said by `user`.

    Rows are independent: each is recorded, or has its reason. What the person has said before is left as it is, so the
    same file may be sent again.
    """
    taken, rows = Taken(), exchange.read(stream)
    first = islice(rows, MOST)
    while batch := list(islice(first, PAGE)):
        _record(batch, taken, project, user)
    if next(rows, None) is not None:
        taken.fail(
            MOST + 1, Reason("the file has more than %(most)d rows: send those from here on by themselves", most=MOST)
        )
    return taken


def _tasks(project: str, user: AbstractBaseUser) -> Iterator[Task]:
    # Page by page: a cursor of the database would have to outlive the view that answers.
    items = Item.objects.filter(project=project, merged_into=None).exclude(state=Item.State.MUTED)
    last = 0
    while page := list(items.filter(pk__gt=last).select_related("sequence").order_by("pk")[:PAGE]):
        last = page[-1].pk
        counting = Verdict.objects.filter(item__in=page, undone_at=None, round=F("item__round"))
        shown = counting.filter(Q(user=user.pk) | Q(item__state__in=SETTLED))
        answers = defaultdict(list)
        for each in shown.order_by("adjudication", "pk"):
            answers[each.item_id].append(_answer(each))
        for item in page:
            facts = {"service": item.service, "kind": item.kind, "state": item.state, "sequence": item.sequence.key}
            yield Task(item.pk, item.sequence.entries, facts, answers[item.pk])


def _record(batch: list[Given], taken: Taken, project: str, user: AbstractBaseUser) -> None:
    numbers = [row[1].item for row in batch if not isinstance(row, BadRecord) and row[1]]
    found = Item.objects.filter(project=project, pk__in=numbers)
    items = found.select_related("sequence").in_bulk()
    mine = Verdict.objects.filter(item__in=numbers, user=user.pk, undone_at=None, round=F("item__round"))
    said = {each.item_id: _answer(each) for each in mine}
    for row in batch:
        if isinstance(row, BadRecord):
            taken.fail(row.row, row.reason, row.excerpt)
            continue
        number, answer = row
        if answer is None:
            taken.unanswered += 1
        elif answer.item not in items:
            taken.fail(number, UNKNOWN, str(answer.item))
        elif _same(said.get(answer.item), answer):
            taken.unchanged += 1
        else:
            item = items[answer.item]
            lines = tuple(line for line in answer.lines if line < item.sequence.length)
            try:
                review.judge(user=user, item=item, said=Said(answer.anomalous, answer.type, lines))
            except JobFailed as error:
                taken.fail(number, str(error), str(answer.item))
            else:
                taken.recorded += 1
                said[answer.item] = answer


def _answer(verdict: Verdict) -> Answer:
    return Answer(verdict.item_id, verdict.anomalous, verdict.type, tuple(verdict.lines), verdict.seconds)


def _same(known: Answer | None, new: Answer) -> bool:
    """Tell whether nothing new is said; doccano knows no lines, so to say none is to say nothing about them."""
    if known is None or (known.anomalous, known.type) != (new.anomalous, new.type):
        return False
    return not new.lines or sorted(known.lines) == sorted(new.lines)
