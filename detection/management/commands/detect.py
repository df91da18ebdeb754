"""Find the anomalous sequences of a log file or stream."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from queue import Empty, Queue
from threading import Thread
from typing import Any, get_args

import msgspec
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rich.console import Console
from rich.text import Text

from detection import scan, versions
from detection.scan import Scored
from detection.versions import Loaded
from duolog.plugins.types import LogSequence, NullContext, Record
from logs import files
from workers.console import DuologCommand

PATIENCE = 0.5
"""Seconds that a sequence of a slow stream waits for others to be scored with."""
SHOWN, LINE_CHARACTERS = 3, 500
"""How many of the most suspicious lines of a sequence are shown, and how much of each."""


class Command(DuologCommand):
    help = str(
        _(
            "Score the sequences of a log file or of standard input, as they come. Nothing is stored. With --json one "
            "object a sequence: sequence_id, score, anomalous, blame, the lines (counted from 0) it hangs on, and "
            "flips, the few lines without which it would not be anomalous."
        )
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", help=str(_("log file, gzip or not, in any known format; - is standard input"))
        )
        parser.add_argument(
            "--model", default="", help=str(_("name@alias, name:version or name (default: the newest champion)"))
        )
        parser.add_argument(
            "--explain", choices=get_args(scan.Explain), default="counterfactual",
            help=str(_("blame by leaving each line out and scoring again, or fast, by gradients (detector moe only)")),
        )  # fmt: skip
        cut = parser.add_mutually_exclusive_group()
        cut.add_argument("--window", type=int, help=str(_("plain text: so many lines make a sequence (default: 20)")))
        cut.add_argument(
            "--session", metavar="REGEX",
            help=str(_("plain text: lines that share what this finds (its first group) make a sequence")),
        )  # fmt: skip

    def handle(
        self,
        *args: Any,
        project: str,
        json: bool,
        file: str,
        model: str,
        explain: scan.Explain,
        window: int | None,
        session: str | None,
        **options: Any,
    ) -> None:
        cut = {name: value for name, value in (("window", window), ("session", session)) if value is not None}
        version = versions.resolve(project=project, ref=model)
        try:
            records = files.open_records(file, "text" if cut else "auto", cut).records
        except (OSError, files.UnknownFormat) as error:
            raise CommandError(str(error)) from error
        loaded = versions.load(version)
        show = _Json(loaded) if json else _Listing()
        count = anomalous = refused = 0
        try:
            for batch in _batches(records):
                sequences = [record for record in batch if isinstance(record, LogSequence)]
                batch_scored = scan.score_batch(loaded, sequences, NullContext(), how=explain) if sequences else []
                show(batch_scored)
                anomalous += sum(scored.anomalous for scored in batch_scored)
                sys.stdout.flush()
                count, refused = count + len(sequences), refused + len(batch) - len(sequences)
        except KeyboardInterrupt:
            raise CommandError(gettext("stopped"), returncode=130) from None
        except BrokenPipeError:  # whoever read our output, `head` say, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        if refused:
            self.stderr.write(gettext("%(count)d rows made no sense and were left out") % {"count": refused})
        text = gettext("%(anomalous)d of %(count)d sequences are anomalous (%(version)s, threshold %(threshold).3f)")
        values = {"anomalous": anomalous, "count": count, "version": version, "threshold": loaded.threshold}
        self.stderr.write(text % values)


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Yield what has arrived: full batches from a file, smaller ones in good time from a stream that pauses."""
    arrived: Queue[Record | Exception | None] = Queue(2 * scan.BATCH)
    Thread(target=_read, args=[records, arrived], daemon=True).start()
    batch: list[Record] = []
    due = 0.0
    while True:
        try:
            item = arrived.get(timeout=max(0.0, due - time.monotonic()) if batch else None)
        except Empty:
            yield batch
            batch = []
            continue
        if item is None or isinstance(item, Exception):
            if batch:
                yield batch
            if item:
                raise item
            return
        if not batch:
            due = time.monotonic() + PATIENCE
        batch.append(item)
        if len(batch) == scan.BATCH:
            yield batch
            batch = []


def _read(records: Iterator[Record], arrived: Queue[Record | Exception | None]) -> None:
    try:
        for record in records:
            arrived.put(record)
    except Exception as error:  # noqa: BLE001 - raised again where the batches are taken
        arrived.put(error)
    arrived.put(None)


class _Json:
    """Prints one object a sequence."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def __call__(self, batch: list[Scored]) -> None:
        anomalous = [scored.sequence for scored in batch if scored.anomalous]
        flips = iter(scan.flips(self._loaded, anomalous, NullContext()))
        for scored in batch:
            row = {
                "sequence_id": scored.sequence.id,
                "score": scored.score,
                "anomalous": scored.anomalous,
                "blame": [{"line": line, "weight": round(weight, 6)} for line, weight in _suspicious(scored)],
                "flips": next(flips) if scored.anomalous else [],
            }
            sys.stdout.write(msgspec.json.encode(row).decode() + "\n")


def _suspicious(scored: Scored) -> list[tuple[int, float]]:
    """Return the lines that matter with their weights, heaviest first."""
    blame = [(line, weight) for line, weight in enumerate(scored.blame or ()) if weight > 0]
    return sorted(blame, key=lambda each: -each[1])


class _Listing:
    """Prints the anomalous sequences with their most suspicious lines."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def __call__(self, batch: list[Scored]) -> None:
        for scored in batch:
            if scored.anomalous:
                self._show(scored)

    def _show(self, scored: Scored) -> None:
        self._console.print(Text.assemble((scored.sequence.id, "bold red"), f"  {scored.score:.3f}"))
        lines = _suspicious(scored)
        if not lines:
            self._console.print(Text(f"  {gettext('as a whole: no single line stands out')}", "dim"))
        for line, weight in lines[:SHOWN]:
            text = scored.sequence.entries[line][:LINE_CHARACTERS]
            self._console.print(Text.assemble((f"  {weight:4.0%} ", "yellow"), (f"{line + 1:>4} ", "dim"), text))
