"""A command alone on a machine: it starts what it needs, executes its run, shows progress, and obeys Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="duolog-command-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start(home: Path) -> Callable[..., subprocess.Popen[str]]:
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}

    def start(*arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "duolog", "count", *arguments],
            env=environment | {"DUOLOG_HOME": str(home), "DUOLOG_RUN_HEARTBEAT": "0.2"},
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip

    return start


def test_it_needs_nothing_but_an_empty_home(start: Callable[..., subprocess.Popen[str]]) -> None:
    output, errors = start("--to", "2").communicate(timeout=60)
    assert json.loads(output) == {"counted": 2, "began_at": 0, "attempt": 1}, errors


def test_ctrl_c_cancels_its_run_and_a_terminal_shows_progress(
    start: Callable[..., subprocess.Popen[str]], until: Callable[..., None]
) -> None:
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def progress() -> bool:
        shown.append(os.read(ours, 1 << 16))
        return b"/1000" in b"".join(shown)

    command = start("--to", "1000", "--seconds", "0.05", stderr=theirs)
    os.close(theirs)  # a read fails when the command is gone, instead of waiting for ever
    until(progress, seconds=30)
    assert b"count" in b"".join(shown)
    command.send_signal(signal.SIGINT)
    until(lambda: b"cancelled" in b"".join(shown) or shown.append(os.read(ours, 1 << 16)))
    assert command.wait(20) == 130
