"""From stored lines to closed sequences, exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from duolog.plugins.types import Receipt
from logs import receive, sequencer, storage
from logs.engine.chunks import Lines
from logs.models import OpenSequence, PendingChunk, Sequence, Source, UnjudgedSequence

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).timestamp()


@pytest.fixture
def source() -> Source:
    made = receive.source("shop", "web")
    Source.objects.filter(pk=made.pk).update(rule={"key": "trace_id", "seconds": 10, "lateness": 2})
    return Source.objects.get(pk=made.pk)


@pytest.fixture
def send(source: Source) -> Callable[..., Receipt]:
    """Store lines as (seconds from now, trace id, text)."""

    def store(*rows: tuple[float, str, str], digest: bytes | None = None, **columns: Any) -> Receipt:
        count = len(rows)
        lines = Lines(
            [text for *_, text in rows],
            [NOW + at for at, *_ in rows],
            columns.get("services", ["shop"] * count),
            columns.get("levels", [""] * count),
            [f'{{"trace_id":"{key}"}}' if key else "" for _, key, _ in rows],
            [0] * count,
        )
        return storage.store(source, lines, [], receiver="test", redacted=Counter(), digest=digest)

    return store


def advance(source: Source) -> None:
    with transaction.atomic():
        while sequencer.advance(source.pk):
            pass


def test_lines_of_a_session_become_a_sequence_in_order_of_time(source: Source, send: Callable[..., Receipt]) -> None:
    send((1, "a", "one"), (3, "a", "three"), (2, "b", "other"))
    advance(source)
    send((2, "a", "two"))
    advance(source)
    assert not Sequence.objects.exists()
    send((30, "c", "much later"))
    advance(source)
    found = {one.entries[0]: one for one in Sequence.objects.all()}
    assert found["one"].entries == ["one", "two", "three"]
    assert found["one"].times == pytest.approx([NOW + 1, NOW + 2, NOW + 3])
    assert found["one"].key.startswith("a@")
    assert found["one"].dataset == source.dataset
    assert found["one"].meta == {"service": "shop"}
    assert found["other"].length == 1
    assert UnjudgedSequence.objects.count() == 2
    assert OpenSequence.objects.get().key == "c"
    assert not PendingChunk.objects.exists()


def test_a_batch_that_is_sent_again_is_stored_once(source: Source, send: Callable[..., Receipt]) -> None:
    first = send((1, "a", "one"), digest=b"1" * 16)
    again = send((1, "a", "one"), digest=b"1" * 16)
    other = send((1, "a", "one"), digest=b"2" * 16)
    assert (again.id, again.duplicate, again.lines) == (first.id, True, 1)
    assert not first.duplicate and not other.duplicate
    assert source.receipts.get(pk=first.id).repeats == 1
    advance(source)
    assert OpenSequence.objects.get().entries == ["one", "one"]


def test_the_same_bytes_long_after_are_news(source: Source, send: Callable[..., Receipt], settings: Any) -> None:
    settings.RETRY_SECONDS = 0
    first = send((1, "a", "one"), digest=b"1" * 16)
    again = send((1, "a", "one"), digest=b"1" * 16)
    assert not again.duplicate
    assert again.id != first.id


def test_a_step_that_fails_leaves_every_line_for_the_next_one(source: Source, send: Callable[..., Receipt]) -> None:
    send((1, "a", "one"))
    with pytest.raises(RuntimeError), transaction.atomic():
        sequencer.advance(source.pk)
        raise RuntimeError
    assert not OpenSequence.objects.exists()
    advance(source)
    assert OpenSequence.objects.get().entries == ["one"]
    advance(source)
    assert OpenSequence.objects.get().entries == ["one"]


def test_what_nothing_more_comes_for_closes_by_the_clock(source: Source, send: Callable[..., Receipt]) -> None:
    send((1, "a", "one"))
    advance(source)
    assert list(sequencer.due()) == []
    OpenSequence.objects.update(idle_at=datetime.now(UTC) - timedelta(seconds=1))
    assert list(sequencer.due()) == [source.pk]
    advance(source)
    assert Sequence.objects.get().entries == ["one"]


def test_overlapping_windows_hold_the_same_lines(source: Source, send: Callable[..., Receipt]) -> None:
    Source.objects.update(rule={"by": "time", "key": "", "seconds": 10, "stride": 5, "lateness": 0})
    start = -(NOW % 10)
    send((start + 1, "", "a"), (start + 6, "", "b"), (start + 40, "", "z"))
    advance(source)
    assert sorted(tuple(one.entries) for one in Sequence.objects.all()) == [("a",), ("a", "b"), ("b",)]


def test_level_and_service_of_the_shipper_stand_before_a_text_that_does_not_tell_them() -> None:
    texts = ["connection lost", "2026-11-25 07:00:00 WARN slow", "ok"]
    lines = Lines(texts, [1.0] * 3, ["db", "db", ""], ["error", "warn", "info"], [""] * 3, [0] * 3)
    assert sequencer.headed(lines) == ["ERROR db: connection lost", "2026-11-25 07:00:00 WARN slow", "INFO ok"]


def test_lines_go_with_their_day(source: Source, send: Callable[..., Receipt]) -> None:
    Source.objects.update(days=3)
    source.refresh_from_db()
    send((1, "a", "one"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text, expires FROM logs_chunk")
        ((table, expires),) = cursor.fetchall()
    assert expires == datetime.now(UTC).date() + timedelta(days=4)
    assert storage.forget(expires) == []
    assert storage.forget(expires + timedelta(days=1)) == [table]
    assert not PendingChunk.objects.exists()
    send((1, "a", "two"))
    assert PendingChunk.objects.exists()
