"""What was rejected, sent through again: redacted as of today, with a template, and once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from duolog.plugins.types import BadRecord
from logs import receive, sources, storage
from logs.engine.chunks import Lines
from logs.models import Receipt, RedactionRule, RejectedRecord, Source


def rejected(*texts: str) -> Source:
    """A source that has rejected records with these texts."""
    source = receive.source("shop", "web")
    records = [BadRecord(n, "odd", text) for n, text in enumerate(texts)]
    storage.store(source, Lines([], [], [], [], [], []), records, receiver="x", redacted=Counter())
    return source


@pytest.mark.django_db
def test_what_the_project_hides_by_now_is_hidden() -> None:
    source = rejected("ticket ABC-123 of a@b.cn", "key [REDACTED:password] [email:0123456789ab]")
    RedactionRule.objects.create(project=source.project, kind="ticket", pattern=r"[A-Z]{3}-\d{3}")
    assert sources.replay(source, sources.rejected(source)) == 2
    second, first = storage.newest(source, 2)
    assert "ABC-123" not in first.text and "a@b.cn" not in first.text
    assert second.text == "key [REDACTED:password] [email:0123456789ab]"
    assert Receipt.objects.get(receiver="replay").redacted == {"ticket": 1, "email": 1}
    kept = storage.read(source, first.chunk)
    assert kept is not None and all(kept.templates)


@pytest.mark.django_db(transaction=True)
def test_two_who_replay_the_same_store_it_once() -> None:
    source = rejected(*(f"line {n}" for n in range(300)))

    def replay(_: int) -> int:
        try:
            return sources.replay(source, sources.rejected(source))
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        assert sum(pool.map(replay, range(3))) == 300
    assert len(storage.newest(source, 1000)) == 300
    assert not RejectedRecord.objects.exists()
