"""Whatever a plugin does, the host gets checked output or an error that names the plugin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from duolog.plugins import guard, registry
from duolog.plugins.guard import PluginError, PluginUnavailable
from duolog.plugins.points import Encoder, Format, Receiver
from duolog.plugins.types import (
    Alert,
    BadRecord,
    LogBatch,
    LogSequence,
    NotDelivered,
    NullContext,
    Receipt,
    Received,
    Refused,
    Reply,
    Store,
)

DETECTORS = "duolog.detectors"
SEQUENCES = [LogSequence(str(number), ("line",) * (number + 1)) for number in range(4)]

pytestmark = pytest.mark.usefixtures("plugins")


def score(name: str) -> Any:
    return guard.score(registry.create(DETECTORS, name, {}), SEQUENCES, None, NullContext())  # type: ignore[arg-type]


def test_a_good_plugin_is_timed_and_its_scores_are_float64() -> None:
    before = guard.seconds["length.score"]
    scores = score("length")
    assert scores.dtype == np.float64
    assert len(scores) == 4
    assert guard.seconds["length.score"] > before


@pytest.mark.parametrize(
    ("name", "reason"),
    [("dummy-nan", "4 of 4 scores are not in .* number 0 is nan"), ("dummy-short", "expected 4 scores, got .* .3.")],
)
def test_bad_scores_are_refused_with_the_plugin_named(name: str, reason: str) -> None:
    with pytest.raises(PluginError, match=rf"plugin {name} \(duolog-dummy 1.2.3\) failed in score: .*{reason}"):
        score(name)


def test_one_that_fails_over_and_over_is_quarantined_and_others_are_not() -> None:
    for _ in range(guard.PATIENCE):
        with pytest.raises(PluginError):
            score("dummy-nan")
    with pytest.raises(PluginUnavailable, match="quarantined: failed 5 times in a row"):
        score("dummy-nan")
    assert len(score("length")) == 4


def test_a_success_in_between_starts_the_count_again() -> None:
    detector = registry.create(DETECTORS, "length", {})
    for _ in range(guard.PATIENCE * 2):
        with pytest.raises(PluginError, match="'str' object has no attribute 'entries'"):
            guard.call(detector, "score", ["not a sequence"], None, NullContext())
        score("length")


class Exploding(Format):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.closed = False

    def sniff(self, head: bytes, name: str) -> float:
        return 2.0

    def read(self, stream: Any) -> Iterator[Any]:
        try:
            yield SEQUENCES[0]
            raise self.error
        finally:
            self.closed = True


@pytest.mark.parametrize("error", [ValueError("row 7"), SystemExit(1), MemoryError(), RecursionError("deep")])
def test_an_iterator_that_fails_half_way_keeps_what_came_before(error: BaseException) -> None:
    seen = []
    with pytest.raises(PluginError, match=rf"Exploding failed in read: {type(error).__name__}"):
        seen.extend(guard.call(Exploding(error), "read", None))
    for one in guard.call(Exploding(error), "read", None):
        assert one == SEQUENCES[0]
        break


def test_ctrl_c_and_errors_of_the_host_cross_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    class HostSaysStop(Exception):
        pass

    monkeypatch.setattr(guard, "_passes", list(guard._passes))
    guard.let_pass(HostSaysStop)
    for error in (KeyboardInterrupt(), HostSaysStop()):
        with pytest.raises(type(error)):
            list(guard.call(Exploding(error), "read", None))


def test_an_iterator_that_is_left_early_is_closed() -> None:
    plugin = Exploding(ValueError())
    records = guard.call(plugin, "read", None)
    next(records)
    records.close()
    assert plugin.closed


def test_a_sniff_out_of_range_is_refused() -> None:
    with pytest.raises(PluginError, match="expected a number in"):
        guard.call(Exploding(ValueError()), "sniff", b"", "")


def test_a_generator_that_stops_early_is_refused() -> None:
    few = registry.create("duolog.generators", "dummy-few", {})
    with pytest.raises(PluginError, match="10 sequences were asked for, 9 came"):
        list(guard.call(few, "generate", 10, 1))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (np.zeros((2, 3), np.float64), "expected float32 .2, 3., got float64"),
        (np.zeros((3, 3), np.float32), "expected float32 .2, 3., got float32 .3, 3."),
        (np.full((2, 3), np.inf, np.float32), "2 of 2 vectors are not finite"),
        ("nonsense", "expected float32"),
    ],
)
def test_bad_vectors_are_refused(made: Any, reason: str) -> None:
    class Odd(Encoder):
        dim = 3
        digest = "odd"

        def encode(self, lines: Any) -> Any:
            return made

    with pytest.raises(PluginError, match=reason):
        guard.call(Odd(), "encode", ["a", "b"])


COLUMNS = {"texts": ["a"], "times": [1.0], "services": ["s"], "levels": ["info"], "attributes": ['{"a":"b"}']}


class Odd(Receiver):
    """Stores what it is given, and replies with what it is told."""

    paths = ("odd",)

    def __init__(self, batch: Any, reply: Any = None) -> None:
        super().__init__()
        self.batch, self.reply = batch, reply or Reply(200)

    def handle(self, request: Received, store: Store) -> Any:
        store(self.batch)
        return self.reply


def received(plugin: Receiver, store: Store = lambda batch: Receipt("r", 1, 0)) -> Any:
    return guard.call(plugin, "handle", Received("POST", "odd", "", {}, {}, b""), store)


def test_a_receivers_batch_and_reply_pass() -> None:
    assert received(Odd(LogBatch(**COLUMNS, rejected=[BadRecord(1, "x", "y")]))).status == 200
    assert received(Odd(LogBatch())).status == 200


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        ({"texts": [b"a"]}, "bytes in texts"),
        ({"texts": ["a", "b"]}, "times is not a list of 2"),
        ({"times": ["now"]}, "str in times"),
        ({"times": [float("nan")]}, "not finite"),
        ({"levels": [None]}, "NoneType in levels"),
        ({"attributes": ["a=b"]}, "not JSON objects"),
        ({"attributes": ['{"a":"b"},{}']}, "1 attributes hold 2"),
        ({"attributes": ["[]"]}, "not JSON objects"),
        ({"rejected": ["x"]}, "than BadRecord"),
        ({"services": ("s",)}, "services is not a list"),
    ],
)
def test_a_malformed_batch_never_reaches_the_store(odd: dict[str, Any], reason: str) -> None:
    stored: list[LogBatch] = []

    def store(batch: LogBatch) -> Receipt:
        stored.append(batch)
        return Receipt("r", 1, 0)

    with pytest.raises(PluginError, match=f"failed in handle: .*{reason}"):
        received(Odd(LogBatch(**(COLUMNS | odd))), store)
    assert stored == []


@pytest.mark.parametrize("reply", [b"ok", Reply(200, "text"), Reply(99)])  # type: ignore[arg-type]
def test_an_odd_reply_is_the_receivers_failure(reply: Any) -> None:
    with pytest.raises(PluginError, match="expected a Reply"):
        received(Odd(LogBatch(), reply))


@pytest.mark.parametrize("error", [Refused(503, "busy"), OSError("the disk is full")])
def test_an_error_of_the_store_is_not_the_receivers(error: Exception) -> None:
    def store(batch: LogBatch) -> Receipt:
        raise error

    for _ in range(guard.PATIENCE + 1):
        with pytest.raises(type(error)) as told:
            received(Odd(LogBatch()), store)
        assert told.value is error


# --- notifiers --------------------------------------------------------------------------------------------------

KEY = "pager-key-0123456789"


def tell(name: str, title: str = "timeout") -> None:
    notifier = registry.create("duolog.notifiers", name, {"url": "http://127.0.0.1:9/", "key": KEY})
    guard.call(notifier, "send", [Alert("1", "shop", "firing", title, datetime.now(UTC))])


def test_a_notifier_that_returns_something_has_failed() -> None:
    with pytest.raises(PluginError, match="failed in send: returned str; a message that did not arrive"):
        tell("dummy-talks-back")


def test_no_error_of_a_notifier_tells_its_key_nor_does_what_becomes_of_it() -> None:
    for _ in range(guard.PATIENCE):
        with pytest.raises(PluginError, match="RuntimeError: cannot connect with …") as told:
            tell("dummy-tells-its-key")
        assert KEY not in str(told.value)
    entry = registry.find("duolog.notifiers", "dummy-tells-its-key")
    assert entry.status == "quarantined" and "cannot connect with …" in entry.error and KEY not in entry.error


def test_a_message_that_did_not_arrive_is_no_failure_of_its_notifier() -> None:
    for _ in range(guard.PATIENCE + 1):
        with pytest.raises(NotDelivered, match="the key … is unknown") as told:
            tell("dummy-tells-its-key", "gone")
        assert told.value.permanent and KEY not in repr(told.value.__context__)
