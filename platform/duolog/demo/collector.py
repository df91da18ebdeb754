"""Collect the lines that the stack's own processes write, as a shipper would, and cut them into time windows."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import BinaryIO

from duolog.plugins.types import LogSequence

POLL_SECONDS = 0.2


class Collector(Thread):
    """Follows log files from their present end; a line's time is the time it was read, as with any shipper."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        super().__init__(name="collector", daemon=True)
        self._files = files
        self._lines: list[tuple[float, str]] = []
        self._lock, self._halt = Lock(), Event()

    def run(self) -> None:
        """Read until stopped."""
        streams = {name: path.open("rb") for name, path in self._files.items()}
        for stream in streams.values():
            stream.seek(0, 2)
        parts = dict.fromkeys(streams, b"")
        while not self._halt.wait(POLL_SECONDS):
            for name, stream in streams.items():
                parts[name] = self._read(name, stream, parts[name])
        for stream in streams.values():
            stream.close()

    def stop(self) -> None:
        """Stop reading."""
        self._halt.set()
        self.join()

    def windows(self, since: float, until: float, seconds: float) -> list[LogSequence]:
        """Return what was written in [since, until), cut every `seconds`; windows without a line are left out."""
        with self._lock:
            lines = [(at, text) for at, text in self._lines if since <= at < until]
        slots: dict[int, list[tuple[float, str]]] = {}
        for at, text in lines:
            slots.setdefault(int((at - since) // seconds), []).append((at, text))
        return [
            LogSequence(
                id=datetime.fromtimestamp(since + slot * seconds, UTC).isoformat(timespec="milliseconds"),
                entries=tuple(text for _, text in members),
                times=tuple(at for at, _ in members),
            )
            for slot, members in slots.items()
        ]

    def _read(self, name: str, stream: BinaryIO, part: bytes) -> bytes:
        """Take the finished lines; return the part of a line that is still being written."""
        *lines, rest = (part + stream.read()).split(b"\n")
        now = time.time()
        texts = [(now, f"{name}: {line.decode(errors='replace')}") for line in lines if line.strip()]
        with self._lock:
            self._lines += texts
        return rest
