"""Fine-tuning in several processes, one a GPU: `tune` starts them, and this module is what they run.

    accelerate launch --config_file analysis/engine/accelerate.yaml -m analysis.engine.distributed FOLDER

The folder holds the lessons and the settings as msgpack, and gets checkpoints and the adapter as safetensors. What a
run shows comes back as JSON lines on the standard output of rank 0.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any, Protocol

import msgspec
import torch
from safetensors.torch import load_file, save_file

from analysis.engine import finetune, ranks
from analysis.engine.finetune import Lesson
from analysis.engine.language_model import LanguageModel
from duolog.plugins.types import Context, NullContext

CONFIG = "DUOLOG_ACCELERATE_CONFIG"
"""Names a configuration of your own for `accelerate launch`, such as one of several machines."""
WORK, ADAPTER = "work.msgpack", "adapter.safetensors"
PATIENCE = timedelta(hours=2)
"""How long ranks wait for rank 0, which judges alone; one that died ends them all at once."""
GRACE = 40.0
"""Seconds in which the launcher ends its processes, of which it takes 30 itself."""
LAST_LINES = 15


class Settings(finetune.Settings, Protocol):
    """The options of an analyst that learns in several processes."""

    @property
    def rank(self) -> int:
        """Of the adapter."""

    @property
    def processes(self) -> int:
        """How many learn together."""


class ChildFailed(RuntimeError):
    """A process of the training ended; the message holds what it said last."""


@dataclass(frozen=True)
class Plan:
    """`finetune.Settings` as they travel."""

    learning_rate: float
    batch: int
    epochs: float
    minutes: float
    texts: float
    evaluations: int
    patience: int
    seed: int


@dataclass(frozen=True)
class Work:
    """What the processes are given; `resume` is the step and the folder of a checkpoint."""

    base: str
    rank: int
    types: list[str]
    words: list[int]
    train: list[Lesson]
    validation: list[Lesson]
    plan: Plan
    resume: tuple[int, str] | None = None


# --- the process that starts them ------------------------------------------------------------------------------------


def tune(
    model: LanguageModel,
    base: Path,
    train: list[Lesson],
    validation: list[Lesson],
    settings: Settings,
    ctx: Context,
) -> dict[str, float]:
    """Teach the model's adapter in several processes, and return figures, as `finetune.tune` does.

    Raises ChildFailed if one of them fails. They end when `ctx.checkpoint` raises, and also if this process dies.
    """
    kept = ctx.resume()
    work = Work(
        base=str(base),
        rank=settings.rank,
        types=model.types,
        words=model.words,
        train=train,
        validation=validation,
        plan=Plan(**{field.name: getattr(settings, field.name) for field in fields(Plan)}),
        resume=(kept[0], str(kept[1])) if kept else None,
    )
    with tempfile.TemporaryDirectory(prefix="duolog-finetune-", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        (folder / WORK).write_bytes(msgspec.msgpack.encode(work))
        figures = _launch(folder, settings.processes, ctx)
        model.adapt(load_file(folder / ADAPTER))
        return figures


def _launch(folder: Path, processes: int, ctx: Context) -> dict[str, float]:
    config = os.environ.get(CONFIG) or str(Path(__file__).with_name("accelerate.yaml"))
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", config]
    command += ["--num_processes", str(processes), "-m", __spec__.name, str(folder)]
    ctx.log(shlex.join(command))
    said: dict[str, float] = {}
    with (folder / "stderr").open("wb") as errors, _started(command, errors) as child:
        for event in _events(child, ctx):
            name, *values = event
            if name == "figures":
                said = values[0]
            elif name == "checkpoint":
                _keep(ctx, folder / str(values[0]), values[0])
            elif name in ("stage", "advance", "metric", "log"):
                getattr(ctx, name)(*values)
        code = child.wait()
    if code or not said:
        last = (folder / "stderr").read_text(encoding="utf-8", errors="replace").splitlines()
        # What the launcher tells of it afterwards is long and says less.
        own = [line for line in last if line.startswith("[rank")] or last
        text = "\n".join(own[-LAST_LINES:])
        raise ChildFailed(f"fine-tuning in {processes} processes failed, exit status {code}; they said last:\n{text}")
    return said


@contextmanager
def _started(command: Sequence[str], errors: IO[bytes]) -> Any:
    # Of its own session: a Ctrl-C at the terminal reaches us, and we end them.
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
    )
    try:
        yield child
    finally:
        child.terminate()  # the launcher ends the processes, each of which is a session of its own
        try:
            child.wait(GRACE)
        except subprocess.TimeoutExpired:
            child.kill()
        assert child.stdout  # noqa: S101 - for the type checker
        child.wait()


def _events(child: subprocess.Popen[bytes], ctx: Context) -> Any:
    """Yield what rank 0 tells until all have ended; every second, and at each of them, ask whether to stop."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in child.stdout or ():
            lines.put(line)
        lines.put(b"")

    Thread(target=read, daemon=True).start()
    while True:
        ctx.checkpoint()
        try:
            line = lines.get(timeout=1)
        except Empty:
            continue
        if not line:
            return
        yield msgspec.json.decode(line)


def _keep(ctx: Context, place: Path, step: int) -> None:
    def save(folder: Path) -> None:
        shutil.copytree(place, folder, dirs_exist_ok=True)

    ctx.checkpoint(step, save)
    shutil.rmtree(place)


# --- each of them ----------------------------------------------------------------------------------------------------


class Told(NullContext):
    """The context of rank 0: what it is told goes to the process that started all."""

    def __init__(self, out: IO[bytes], folder: Path) -> None:
        self.out, self.folder = out, folder

    def tell(self, *event: object) -> None:
        """Write a line. If nobody reads any more this raises BrokenPipeError, and so no orphan goes on learning."""
        self.out.write(msgspec.json.encode(event) + b"\n")
        self.out.flush()

    def stage(self, name: str, total: int = 0) -> None:
        """Tell it."""
        self.tell("stage", name, total)

    def advance(self, steps: int = 1) -> None:
        """Tell it."""
        self.tell("advance", steps)

    def metric(self, name: str, value: float, step: int) -> None:
        """Tell it."""
        self.tell("metric", name, value, step)

    def log(self, message: str, level: str = "info") -> None:
        """Tell it."""
        self.tell("log", message, level)

    def checkpoint(self, step: int = 0, save: Callable[[Path], None] | None = None) -> None:
        """Write a checkpoint beside the work, and tell it."""
        if save:
            (self.folder / str(step)).mkdir()
            save(self.folder / str(step))
            self.tell("checkpoint", step)


def main(folder: Path) -> None:
    """Take part in a training as the rank that the launcher gave."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints is no event
    work = msgspec.msgpack.decode((folder / WORK).read_bytes(), type=Work)
    if cuda := torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    ctx: Any = Told(out, folder) if ranks.rank() == 0 else NullContext()
    if work.resume:
        ctx.resume = lambda: (work.resume[0], Path(work.resume[1]))
    model = LanguageModel(Path(work.base), rank=work.rank)
    model.knows(work.types, work.words)
    figures = finetune.tune(model, work.train, work.validation, work.plan, ctx)
    if ranks.rank() == 0:
        save_file(model.adapter(), folder / ADAPTER)
        ctx.tell("figures", figures)
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
