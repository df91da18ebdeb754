"""Messages of a protocol without acknowledgements on their way to the store, by size and time."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress

from duolog.plugins.types import BadRecord, LogBatch, Refused, Store

log = logging.getLogger(__name__)

BATCH = 1000
BATCH_BYTES = 8 << 20
PATIENCE = 0.2
"""Seconds that a line waits for others to be stored with."""
WAITING, WAITING_BYTES = 20 * BATCH, 64 << 20
"""More than so much does not wait: TCP is read no further, datagrams are dropped and counted."""
AGAIN = 1.0
"""Seconds until an overloaded store is asked again, where it names none."""

Message = tuple[bytes | BadRecord, str]


class Feed:
    """Collects messages with the address they came from, and has them read and stored in order, one batch at a time.

    While the store is overloaded, a batch is kept and offered again: there is nobody else who could send it again.
    `counts` tells how many were received, stored, rejected (put into quarantine), dropped (of UDP) and lost (of a batch
    that the store refuses for good, or at the end).
    """

    def __init__(
        self, read: Callable[[list[Message]], LogBatch], store: Store, counts: Counter[str], threads: Executor
    ) -> None:
        self._read, self._store, self._threads = read, store, threads
        self.counts = counts
        self._waiting: deque[Message] = deque()
        self._bytes = 0
        self._some, self._enough = asyncio.Event(), asyncio.Event()
        self._closing = False
        self._paused: set[asyncio.ReadTransport] = set()

    @property
    def full(self) -> bool:
        """Whether no more should come for now."""
        return len(self._waiting) >= WAITING or self._bytes >= WAITING_BYTES

    def put(self, message: bytes | BadRecord, peer: str) -> None:
        """Add a message."""
        self.counts["received"] += 1
        self._waiting.append((message, peer))
        self._bytes += _size(message)
        self._some.set()
        if len(self._waiting) >= BATCH or self._bytes >= BATCH_BYTES or self.full:
            self._enough.set()

    def pause(self, transport: asyncio.ReadTransport) -> None:
        """Stop reading from a connection until there is room: its sender waits, as TCP has it."""
        transport.pause_reading()
        self._paused.add(transport)

    def forget(self, transport: asyncio.ReadTransport) -> None:
        """Forget a connection that has ended."""
        self._paused.discard(transport)

    def close(self) -> None:
        """Let `run` end once all that waits is stored."""
        self._closing = True
        self._some.set()
        self._enough.set()

    async def run(self) -> None:
        """Store what comes until `close`."""
        while True:
            await self._some.wait()
            if not self._waiting and self._closing:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), PATIENCE)
            await self._commit(self._take())

    def _take(self) -> list[Message]:
        taken: list[Message] = []
        size = 0
        while self._waiting and len(taken) < BATCH and size < BATCH_BYTES:
            taken.append(self._waiting.popleft())
            size += _size(taken[-1][0])
        self._bytes -= size
        if not self._closing:
            if not self._waiting:
                self._some.clear()
            if len(self._waiting) < BATCH and self._bytes < BATCH_BYTES:
                self._enough.clear()
        return taken

    async def _commit(self, taken: list[Message]) -> None:
        loop = asyncio.get_running_loop()
        batch = await loop.run_in_executor(self._threads, self._read, taken)
        self.counts["lost"] += len(taken)  # until it is known to be stored
        while True:
            try:
                receipt = await loop.run_in_executor(self._threads, self._store, batch)
            except Refused as refused:
                if refused.status == 429 or refused.status >= 500:
                    log.warning("the store refuses %d lines for now: %s", len(batch.texts), refused.reason)
                    await asyncio.sleep(refused.retry_after or AGAIN)
                    continue
                log.error("the store refuses %d lines for good: %s", len(batch.texts), refused.reason)
            else:
                self.counts["lost"] -= len(taken)
                self.counts["stored"] += receipt.lines
                self.counts["rejected"] += receipt.rejected
            break
        if not self.full:
            paused, self._paused = self._paused, set()
            for transport in paused:
                transport.resume_reading()

    @property
    def left(self) -> int:
        """How many messages wait."""
        return len(self._waiting)


def _size(message: bytes | BadRecord) -> int:
    return len(message) if isinstance(message, bytes) else len(message.excerpt)
