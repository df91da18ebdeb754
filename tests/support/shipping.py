"""A store in memory, a listener in a thread, and what a running Duolog has stored."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from duolog.plugins import guard, registry
from duolog.plugins.types import LogBatch, Receipt, Received, Refused, Reply, Store

if TYPE_CHECKING:
    from logs.endpoints import Endpoint
    from logs.listen import Listener
    from logs.otlp_grpc import Admit


@dataclass
class Memory:
    """What was committed, as the platform would get it."""

    batches: list[LogBatch] = field(default_factory=list)
    refusing: Refused | None = None

    def __call__(self, batch: LogBatch) -> Receipt:
        if self.refusing:
            raise self.refusing
        self.batches.append(batch)
        return Receipt(f"r{len(self.batches)}", len(batch.texts), len(batch.rejected))

    @property
    def last(self) -> LogBatch:
        return self.batches[-1]

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch.texts]

    @property
    def rejected(self) -> list[str]:
        return [one.reason for batch in self.batches for one in batch.rejected]


@dataclass
class Sender:
    """Sends requests through the guard, as the platform does: refusals become the protocol's own answer."""

    store: Memory

    def __call__(
        self,
        receiver: str,
        path: str,
        body: bytes = b"",
        kind: str = "application/json",
        *,
        method: str = "POST",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Reply:
        plugin = registry.create("duolog.receivers", receiver, options or {})
        request = Received(method, path, kind, query or {}, headers or {}, body)
        try:
            return guard.call(plugin, "handle", request, self.store)  # type: ignore[no-any-return]
        except Refused as refused:
            return guard.call(plugin, "refuse", request, refused)  # type: ignore[no-any-return]


@contextmanager
def listening(
    *urls: str, store_of: Callable[[Endpoint], Store], admit: Admit, max_line: int = 1 << 20
) -> Iterator[tuple[Listener, dict[str, int]]]:
    """Listen in a thread; yields the listener, and the ports by kind of endpoint."""
    from logs.endpoints import parse
    from logs.listen import Listener

    ready = threading.Event()
    ended: list[BaseException] = []

    async def run() -> None:
        nonlocal loop, stop
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        await listener.start()
        ready.set()
        await listener.run(stop)

    def work() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            ended.append(error)
        finally:
            ready.set()

    loop: asyncio.AbstractEventLoop | None = None
    stop: asyncio.Event | None = None
    listener = Listener([parse(url) for url in urls], store_of=store_of, admit=admit, max_line=max_line)
    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(20)
    try:
        if ended:
            raise ended[0]
        yield listener, {endpoint.kind: port for endpoint, (_, port) in listener.bound.items()}
    finally:
        if loop and stop and not ended:
            loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        assert not thread.is_alive()


class Line(NamedTuple):
    """A stored line."""

    text: str
    time: float
    service: str
    level: str
    attributes: dict[str, str]


@dataclass
class Live:
    """A running Duolog: where it is, a shipper's token, and what has been stored."""

    url: str
    token: str
    until: Callable[..., None]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def lines(self) -> list[Line]:
        from django.db import connection

        from logs import storage
        from logs.models import Source

        with connection.cursor() as cursor:
            cursor.execute("SELECT source_id, id FROM logs_chunk ORDER BY id")
            chunks = cursor.fetchall()
        found: list[Line] = []
        for source, chunk in chunks:
            stored = storage.read(Source.objects.get(pk=source), chunk)
            assert stored is not None
            columns = zip(stored.texts, stored.times, stored.services, stored.levels, stored.attributes, strict=True)
            found += [Line(*row, json.loads(attributes or "{}")) for *row, attributes in columns]  # type: ignore[arg-type]
        return found

    def texts(self) -> list[str]:
        return [line.text for line in self.lines()]

    def wait(self, count: int) -> list[Line]:
        """Return the lines once there are so many of them, in the order of their texts."""
        self.until(lambda: len(self.lines()) >= count)
        lines = sorted(self.lines())
        assert len(lines) == count, lines
        return lines
