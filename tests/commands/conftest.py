"""A shop whose logs are generated, split and learned once for all tests of the commands."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command

Ask = Callable[..., dict[str, Any]]

EASY = ["noise=0", "services=5", "styles=spring", "types=步骤缺失"]
"""A shop that some hundred sequences are enough to learn."""
GENERATE = ["generate", "--seed", "3", "--language", "en", *(word for pair in EASY for word in ("--set", pair))]


def ask(*arguments: object) -> dict[str, Any]:
    """Run a command with --json, and return the one object it prints."""
    out = io.StringIO()
    call_command(*map(str, arguments), "--json", stdout=out)
    (line,) = out.getvalue().splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


@pytest.fixture(name="ask", scope="session")
def ask_() -> Ask:
    """The helper above, for tests."""
    return ask


@pytest.fixture(name="generate", scope="session")
def generate_() -> list[str]:
    """The command that makes the shop's logs, but for `--count` and `--dataset`."""
    return GENERATE


@pytest.fixture(scope="package")
def shop(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, dict[str, Any]]]:
    """What `generate`, `split` and `train` answered; the tables keep their work until the last test of this folder."""
    with django_db_blocker.unblock():
        yield {
            "generate": ask(*GENERATE, "--count", 300, "--dataset", "shop"),
            "split": ask("split", "--dataset", "shop", "--train", 180, "--validation", 60, "--test", 60),
            "train": ask("train", "--dataset", "shop", "--set", "epochs=4", "--set", "batch=16", "--wait"),
        }
        call_command("flush", interactive=False, verbosity=0)
