from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def asked(settings: Any) -> Iterator[list[Any]]:
    """What the dummy analyst, which is everybody's now, is asked: (cases, languages) call by call."""
    from duolog_dummy import analysts

    from analysis import analyst
    from duolog.plugins import guard, registry

    settings.ANALYST = "echo"
    for forget in (registry.forget, guard._failures.clear, analyst._loaded.clear, analysts.asked.clear):
        forget()
    yield analysts.asked
    registry.forget()
    guard._failures.clear()
    analyst._loaded.clear()
