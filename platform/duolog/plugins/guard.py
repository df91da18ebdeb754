"""The seam between host and plugin: every call is timed, every error is named, every output is checked.

A failing plugin costs the file, run or delivery at hand. One that fails over and over is refused for the rest of the
process, so that it does not also cost the time of those that follow.
"""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from duolog.plugins import registry
from duolog.plugins.options import hide
from duolog.plugins.points import Analyst, Detector, Encoder, Format, Generator, Notifier, Plugin, Receiver
from duolog.plugins.registry import PluginError, PluginUnavailable
from duolog.plugins.types import (
    BadRecord,
    Case,
    Context,
    LineVectors,
    LogBatch,
    LogSequence,
    NotDelivered,
    Receipt,
    Refused,
    Reply,
    Report,
    Store,
    Unexplained,
)  # fmt: skip

__all__ = ["PluginError", "PluginUnavailable", "attribute", "call", "let_pass", "score", "seconds"]

PATIENCE = 5
"""Failures in a row after which a plugin is quarantined."""

seconds: defaultdict[str, float] = defaultdict(float)
"""Time spent in this process by plugin and method, as in "neighbours.score"."""

_failures: Counter[str] = Counter()
_passes: list[type[BaseException]] = [KeyboardInterrupt, Refused, NotDelivered]


def let_pass(*errors: type[BaseException]) -> None:
    """Let errors of the host cross a plugin unchanged: it calls back into us, and "cancelled" is not its fault."""
    _passes.extend(errors)


def call(plugin: Plugin, method: str, *args: Any) -> Any:
    """Call a plugin's method and return its checked result.

    Iterators are checked as they are read. Raises PluginError for whatever goes wrong inside, and PluginUnavailable
    for a plugin in quarantine. No error holds a secret of the plugin's options.
    """
    seam = _Seam(plugin, method)
    if isinstance(plugin, Receiver) and method == "handle":
        args = (args[0], seam.checked(args[1]))
    failed: NotDelivered | None = None
    try:
        result = seam.run(lambda: getattr(plugin, method)(*args))
    except NotDelivered as told:
        failed = NotDelivered(hide(told.reason, plugin.options), retry_after=told.retry_after, permanent=told.permanent)
    if failed:  # out here, so that what holds the secrets is not its context; the plugin did what it could
        seam.succeeded()
        raise failed
    match plugin, method:
        case Detector(), "score":
            return seam.check(_scores, result, len(args[0]))
        case Detector(), "fit":
            return seam.check(_threshold, result)
        case Encoder(), "encode":
            return seam.check(_vectors, result, len(args[0]), plugin.dim)
        case Receiver(), "handle" | "refuse":
            return seam.check(_reply, result)
        case Notifier(), "send":
            return seam.check(_nothing, result)
        case Analyst(), "fit":
            return seam.check(_figures, result)
        case Analyst(), "explain":
            return seam.check(_reports, result, args[0], args[1])
        case Format(), "sniff":
            return seam.check(_share, result)
        case Format(), "read":
            return seam.iterate(result, _record)
        case Generator(), "generate":
            # One more than asked for shows that there are too many, and an endless one still ends.
            return _counted(seam, islice(seam.iterate(result, _labelled), args[0] + 1), args[0])
    seam.succeeded()
    return result


def attribute(plugin: Plugin, name: str) -> Any:
    """Return an attribute that the plugin may have to work out first, such as an encoder's `digest`."""
    return _Seam(plugin, name).run(lambda: getattr(plugin, name))


def score(
    detector: Detector, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context
) -> NDArray[np.float64]:
    """Return one checked score a sequence, float64 in [0, 1], in order."""
    scores: NDArray[np.float64] = call(detector, "score", sequences, vectors, ctx)
    return scores


class _Seam:
    """One call: who is called, and what to say when it fails; `foreign` is an error of the host that crossed it."""

    foreign: BaseException | None = None

    def __init__(self, plugin: Plugin, method: str) -> None:
        self.entry, self.method, self.options = registry.owner(plugin), method, getattr(plugin, "options", None)
        self.name = str(self.entry or f"{type(plugin).__module__}.{type(plugin).__qualname__}")
        self.key = f"{self.entry.name if self.entry else type(plugin).__name__}.{method}"
        if self.entry and self.entry.status == registry.Status.QUARANTINED:
            raise PluginUnavailable(f"plugin {self.name} is quarantined: {self.entry.error}")

    def run(self, work: Callable[[], Any]) -> Any:
        """Do a part of the call, timed."""
        began = time.perf_counter()
        try:
            return work()
        except tuple(_passes):
            raise
        except BaseException as error:
            if error is self.foreign:
                raise
            raise self.failure(registry.describe(error)) from error
        finally:
            seconds[self.key] += time.perf_counter() - began

    def check(self, judge: Callable[..., Any], *values: Any) -> Any:
        """Return what `judge` makes of a result; its ValueError is the plugin's failure."""
        try:
            accepted = judge(*values)
        except (TypeError, ValueError) as error:
            raise self.failure(str(error)) from error
        self.succeeded()
        return accepted

    def checked(self, store: Store) -> Store:
        """Return a `store` that takes well-formed batches only; its own time and errors are not the plugin's."""

        def judged(batch: LogBatch) -> Receipt:
            try:
                _batch(batch)
            except ValueError as error:
                self.foreign = self.failure(str(error))
                raise self.foreign from error
            began = time.perf_counter()
            try:
                return store(batch)
            except BaseException as error:
                self.foreign = error
                raise
            finally:
                seconds[self.key] -= time.perf_counter() - began

        return judged

    def iterate(self, items: Any, judge: Callable[[Any], None]) -> Iterator[Any]:
        """Yield what the plugin yields, each item checked."""
        iterator = self.run(lambda: iter(items))
        end = object()
        try:
            while (item := self.run(lambda: next(iterator, end))) is not end:
                try:
                    judge(item)
                except ValueError as error:
                    raise self.failure(str(error)) from error
                yield item
            self.succeeded()
        finally:
            if hasattr(iterator, "close"):
                self.run(iterator.close)

    def failure(self, reason: str) -> PluginError:
        """Count a failure and return the error that tells of it."""
        reason = hide(reason, self.options)
        message = f"plugin {self.name} failed in {self.method}: {reason}"
        if self.entry:
            _failures[self.name] += 1
            if _failures[self.name] >= PATIENCE:
                registry.quarantine(self.entry, f"failed {PATIENCE} times in a row, last in {self.method}: {reason}")
        return PluginError(message)

    def succeeded(self) -> None:
        """Forget earlier failures."""
        _failures.pop(self.name, None)


def _counted(seam: _Seam, items: Iterator[LogSequence], count: int) -> Iterator[LogSequence]:
    made = 0
    for item in items:
        made += 1
        if made <= count:
            yield item
    if made != count:
        raise seam.failure(f"{count} sequences were asked for, {'more' if made > count else made} came")


def _scores(result: Any, count: int) -> NDArray[np.float64]:
    scores = np.asarray(result)
    if scores.shape != (count,) or not np.issubdtype(scores.dtype, np.number):
        raise ValueError(f"expected {count} scores, got {scores.dtype} {list(scores.shape)}")
    scores = scores.astype(np.float64)
    wrong = ~((scores >= 0) & (scores <= 1))  # true for NaN as well
    if wrong.any():
        first = int(wrong.argmax())
        raise ValueError(f"{int(wrong.sum())} of {count} scores are not in [0, 1]; number {first} is {scores[first]}")
    return scores


def _vectors(result: Any, count: int, dim: int) -> NDArray[np.float32]:
    vectors = np.asarray(result)
    if vectors.shape != (count, dim) or vectors.dtype != np.float32:
        raise ValueError(f"expected float32 [{count}, {dim}], got {vectors.dtype} {list(vectors.shape)}")
    if not np.isfinite(vectors).all():
        raise ValueError(f"{int((~np.isfinite(vectors).all(axis=1)).sum())} of {count} vectors are not finite")
    return vectors


def _reports(result: Any, cases: Sequence[Case], languages: Sequence[str]) -> list[Report | Unexplained]:
    reports = list(result)
    if len(reports) != len(cases):
        raise ValueError(f"expected {len(cases)} reports, got {len(reports)}")
    for number, (report, case) in enumerate(zip(reports, cases, strict=True)):
        if problem := _problem(report, case, languages):
            raise ValueError(f"report {number} of {len(reports)} {problem}")
    return reports


def _problem(report: Any, case: Case, languages: Sequence[str]) -> str:
    """Return what is wrong with the form of a report; whether it is true is for `analysis.engine.grounding`."""
    if isinstance(report, Unexplained):
        return "" if report.reason.strip() else "gives no reason why there is none"
    if not isinstance(report, Report):
        return f"is a {type(report).__name__}"
    if not 0 <= report.confidence <= 1:
        return f"has the confidence {report.confidence}"
    named = (report.category, report.type, report.severity)
    if report.anomalous and not all(named):
        return "calls its case anomalous without category, type or severity"
    if not report.anomalous and any(named):
        return "calls its case normal, and names category, type or severity"
    count = len(case.sequence.entries)
    if wrong := [one.line for one in report.evidence if not 0 <= one.line < count]:
        return f"cites the line {wrong[0]} (from 0) of {count}"
    for language in languages:
        text = report.texts.get(language)  # type: ignore[call-overload]
        if text is None or not text.summary.strip():
            return f"has no text in {language}"
    return ""


def _figures(result: Any) -> dict[str, float]:
    figures = {str(name): float(value) for name, value in dict(result).items()}
    if wrong := [name for name, value in figures.items() if not math.isfinite(value)]:
        raise ValueError(f"the figure {wrong[0]} is not finite")
    return figures


def _nothing(result: Any) -> None:
    if result is not None:
        raise ValueError(f"returned {type(result).__name__}; a message that did not arrive is to be a NotDelivered")


def _share(result: Any) -> float:
    if not (isinstance(result, (int, float)) and 0 <= result <= 1):
        raise ValueError(f"expected a number in [0, 1], got {result!r}")
    return float(result)


def _threshold(result: Any) -> float:
    if not (isinstance(result, (int, float, np.floating)) and np.isfinite(result)):
        raise ValueError(f"expected a threshold, got {result!r}")
    return float(result)


class _Object(msgspec.Struct):
    """Any JSON object; nothing of it is kept."""


_objects = msgspec.json.Decoder(list[_Object])


def _batch(batch: Any) -> None:
    if not isinstance(batch, LogBatch):
        raise ValueError(f"stored {type(batch).__name__} where LogBatch is expected")
    columns = {"texts": str, "times": float | None, "services": str, "levels": str, "attributes": str}
    for name, kind in columns.items():
        column = getattr(batch, name)
        if not isinstance(column, list) or len(column) != len(batch.texts):
            raise ValueError(f"{name} is not a list of {len(batch.texts)}, one a line")
        # The types first: one pass in C.
        wrong = [found for found in set(map(type, column)) if not issubclass(found, kind)]
        if wrong:
            raise ValueError(f"there is {wrong[0].__name__} in {name}")
    if not all(map(math.isfinite, filter(None, batch.times))):
        raise ValueError("there is a time that is not finite")
    written = [one for one in batch.attributes if one]
    try:
        count = len(_objects.decode(f"[{','.join(written)}]".encode()))
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ValueError(f"attributes are not JSON objects: {error}") from error
    if count != len(written):
        raise ValueError(f"{len(written)} attributes hold {count} JSON objects")
    if not all(isinstance(one, BadRecord) for one in batch.rejected):
        raise ValueError("there is something else than BadRecord in rejected")


def _reply(result: Any) -> Reply:
    if not isinstance(result, Reply) or not isinstance(result.body, bytes) or not 200 <= result.status <= 599:
        raise ValueError(f"expected a Reply with a status and bytes, got {str(result)[:200]}")
    return result


def _record(item: Any) -> None:
    if not isinstance(item, LogSequence | BadRecord):
        raise ValueError(f"yielded {type(item).__name__} where LogSequence or BadRecord is expected")


def _labelled(item: Any) -> None:
    if not isinstance(item, LogSequence) or item.label not in (0, 1):
        raise ValueError("yielded something else than a LogSequence with label 0 or 1")
