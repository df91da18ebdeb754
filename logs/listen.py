"""One process that listens for what does not come over HTTP: syslog, GELF, and OTLP over gRPC."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import grpc.aio

from duolog.plugins.types import LogBatch, Store
from logs.endpoints import Endpoint
from logs.engine import gelf, syslog
from logs.engine.framing import Framer, Message
from logs.engine.gelf_chunks import Assembler
from logs.engine.sanity import MAX_LINE_BYTES
from logs.engine.unpack import MAX_BYTES
from logs.feeds import Feed
from logs.feeds import Message as Addressed
from logs.otlp_grpc import Admit, Service

log = logging.getLogger(__name__)

RECEIVE_BYTES = 8 << 20
"""Of datagrams that the kernel keeps for us; it gives what net.core.rmem_max allows."""
THREADS = 4
STOP_SECONDS = 10
TELL_SECONDS = 60


class Listener:
    """Listens on endpoints; lines of sockets go where `store_of` says, those of gRPC where `admit` does.

    `counts` says what became of the messages (`logs.feeds`); `bound` where each endpoint really listens.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        store_of: Callable[[Endpoint], Store],
        admit: Admit,
        max_line: int = MAX_LINE_BYTES,
    ) -> None:
        self.endpoints, self.max_line = endpoints, max_line
        self.store_of, self.admit = store_of, admit
        self.counts: Counter[str] = Counter()
        self.bound: dict[Endpoint, tuple[str, int]] = {}
        self._threads = ThreadPoolExecutor(THREADS, "listen")
        self._feeds: list[tuple[Feed, asyncio.Task[None]]] = []
        self._sockets: list[asyncio.BaseTransport | asyncio.Server] = []
        self._streams: set[asyncio.Transport] = set()
        self._grpc: list[grpc.aio.Server] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set or a store breaks; then store what has come, as far as it can be in time."""
        try:
            waiting = asyncio.create_task(stop.wait())
            telling = asyncio.create_task(self._tell())
            feeds = [task for _, task in self._feeds]
            done, _ = await asyncio.wait([waiting, *feeds], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            telling.cancel()
            for task in done:
                task.result()
        finally:
            await self.stop()

    async def start(self) -> None:
        """Open all endpoints; raises OSError, with the endpoint in its text, if one cannot be."""
        for endpoint in self.endpoints:
            try:
                address = await self._open(endpoint)
            except (OSError, RuntimeError) as error:
                await self.stop()
                raise OSError(f"{endpoint}: {error}") from error
            self.bound[endpoint] = address
            log.info("listening on %s, port %d", endpoint, address[1])

    async def stop(self) -> None:
        """Close all endpoints and store what has come."""
        for server in self._grpc:
            await server.stop(STOP_SECONDS / 2)
        for each in self._sockets:
            each.close()
        for stream in list(self._streams):
            stream.close()
        await asyncio.sleep(0)  # closed connections hand over what they have left
        for feed, _ in self._feeds:
            feed.close()
        if self._feeds:
            _, late = await asyncio.wait([task for _, task in self._feeds], timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
        self.counts["lost"] += sum(feed.left for feed, _ in self._feeds)
        self._threads.shutdown(wait=False, cancel_futures=True)
        log.info("stopped: %s", dict(self.counts))

    async def _open(self, endpoint: Endpoint) -> tuple[str, int]:
        if endpoint.protocol == "otlp":
            return await self._open_grpc(endpoint)
        read = (
            self._syslog(ZoneInfo(endpoint.zone))
            if endpoint.protocol == "syslog"
            else partial(gelf.read, max_line=self.max_line)
        )
        feed = Feed(read, self.store_of(endpoint), self.counts, self._threads)
        loop = asyncio.get_running_loop()
        opened: Any
        if endpoint.kind.endswith("udp"):
            assembled = partial(_assembled, Assembler(self.max_line), self.counts)
            take: Callable[[bytes, str], Sequence[Message]] = assembled if endpoint.protocol == "gelf" else _split
            datagrams = partial(_Datagrams, feed, take)
            opened, _ = await loop.create_datagram_endpoint(datagrams, (endpoint.host, endpoint.port))
            plug: socket.socket = opened.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        else:
            counted, end = (True, b"\n") if endpoint.protocol == "syslog" else (False, b"\0")
            framer = partial(Framer, counted=counted, end=end, most=self.max_line)
            streams = partial(_Stream, feed, framer, self._streams)
            opened = await loop.create_server(streams, endpoint.host, endpoint.port, ssl=endpoint.tls)
            plug = opened.sockets[0]
        self._sockets.append(opened)
        self._feeds.append((feed, asyncio.create_task(feed.run())))
        return cast(tuple[str, int], plug.getsockname()[:2])

    async def _open_grpc(self, endpoint: Endpoint) -> tuple[str, int]:
        # The limit holds for what a message unpacks to, as well.
        server = grpc.aio.server(options=[("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((Service(self.admit, self._threads, self.max_line),))
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        port = server.add_insecure_port(f"{host}:{endpoint.port}")
        await server.start()
        self._grpc.append(server)
        return endpoint.host, port

    def _syslog(self, zone: ZoneInfo) -> Callable[[list[Addressed]], LogBatch]:
        return lambda messages: syslog.read(messages, now=time.time(), zone=zone, max_line=self.max_line)

    async def _tell(self) -> None:
        """Say once a minute what has come and what was dropped, if anything."""
        told: Counter[str] = Counter()
        while True:
            await asyncio.sleep(TELL_SECONDS)
            ports = {port for endpoint, (_, port) in self.bound.items() if endpoint.kind.endswith("udp")}
            self.counts["dropped by the kernel"] = kernel_drops(ports)
            if self.counts != told:
                told = self.counts.copy()
                log.info("%s", dict(told))


class _Datagrams(asyncio.DatagramProtocol):
    """UDP: what cannot be kept is dropped, and counted."""

    def __init__(self, feed: Feed, take: Callable[[bytes, str], Sequence[Message]]) -> None:
        self._feed, self._take = feed, take

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._feed.full:
            self._feed.counts["dropped"] += 1
            return
        for message in self._take(data, addr[0]):
            self._feed.put(message, addr[0])


class _Stream(asyncio.Protocol):
    """One TCP or TLS connection: what cannot be kept is not read."""

    def __init__(self, feed: Feed, framer: Callable[[], Framer], streams: set[asyncio.Transport]) -> None:
        self._feed, self._framer, self._streams = feed, framer(), streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._peer = (transport.get_extra_info("peername") or ("",))[0]
        self._streams.add(self._transport)

    def data_received(self, data: bytes) -> None:
        for message in self._framer.feed(data):
            self._feed.put(message, self._peer)
        if self._feed.full:
            self._feed.pause(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for message in self._framer.finish():
            self._feed.put(message, self._peer)
        self._feed.forget(self._transport)
        self._streams.discard(self._transport)


def _split(data: bytes, peer: str) -> list[bytes]:
    return syslog.split(data)


def _assembled(assembler: Assembler, counts: Counter[str], data: bytes, peer: str) -> list[Message]:
    before = assembler.dropped
    message = assembler.add(data, peer, time.monotonic())
    counts["dropped"] += assembler.dropped - before
    return [] if message is None else [message]


def kernel_drops(ports: set[int]) -> int:
    """Return how many datagrams for these ports the kernel had no room for; 0 where it does not say (Linux does)."""
    drops = 0
    for name in ("udp", "udp6"):
        with suppress(OSError):
            for line in Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                if int(fields[1].rpartition(":")[2], 16) in ports:
                    drops += int(fields[-1])
    return drops
