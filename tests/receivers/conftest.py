from __future__ import annotations

import pytest
from shipping import Memory, Sender


@pytest.fixture
def store() -> Memory:
    return Memory()


@pytest.fixture
def send(store: Memory) -> Sender:
    return Sender(store)
