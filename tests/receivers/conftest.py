from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from shipping import Memory

from duolog.plugins import guard, registry
from duolog.plugins.types import Received, Refused, Reply


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


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def send(store: Memory) -> Sender:
    return Sender(store)
