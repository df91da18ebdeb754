from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pytest

from duolog.plugins import guard, registry


@pytest.fixture
def plugins() -> Iterator[None]:
    """A registry that has seen nothing yet, with the dummy package installed."""
    try:
        version("duolog-dummy")
    except PackageNotFoundError:
        pytest.fail("the dummy plugins are not installed: uv pip install --no-deps -e tests/plugins/dummy")
    registry.forget()
    guard._failures.clear()
    yield
    registry.forget()
    guard._failures.clear()


@pytest.fixture
def near(settings: Any) -> None:
    """Let users send to loopback."""
    settings.PRIVATE_ADDRESSES = ["127.0.0.1"]
