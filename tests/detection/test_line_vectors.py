"""Line vectors in Postgres."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection, connections

from detection.line_vectors import Table
from detection.models import LineVector

pytestmark = pytest.mark.django_db(transaction=True)


def key(number: int) -> bytes:
    return number.to_bytes(16, "little")


def test_what_was_put_comes_back_for_its_encoder_only() -> None:
    table = Table()
    table.put("a", {key(n): bytes([n % 256, 0, 255]) for n in range(25_000)})
    table.put("b", {key(1): b"other"})
    found = table.get("a", [key(1), key(24_999), key(25_000)])
    assert found == {key(1): b"\x01\x00\xff", key(24_999): bytes([24_999 % 256, 0, 255])}
    assert len(table.get("a", [key(n) for n in range(30_000)])) == 25_000
    assert table.get("c", [key(1)]) == table.get("a", []) == {}


def test_workers_that_meet_the_same_lines_at_once_neither_fail_nor_wait_for_each_other() -> None:
    together = Barrier(4)

    def race(number: int) -> None:
        rows = [(key(n), b"v") for n in range(10_000)]
        try:
            connection.ensure_connection()
            together.wait(10)
            Table().put("a", dict(rows if number % 2 else reversed(rows)))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(race, range(4)))
    assert LineVector.objects.count() == 10_000
