"""A synthetic shop of a dozen microservices that logs in Chinese, English or both.

The label belongs to the sequence: every error line that an anomalous request shows may also stand in a normal one
that recovers from it, and everyday noise holds WARN and ERROR lines of its own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from duolog.plugins.points import Generator
from duolog.plugins.types import LogSequence
from training.generators import phrases
from training.generators.phrases import Fault, Step, Text

EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
MIN_LINES, MAX_LINES = 6, 15


@dataclass(frozen=True)
class Options:
    """What the shop's traffic looks like."""

    language: Literal["zh", "en", "mixed"] = "zh"
    anomaly_share: float = 0.3
    recovered_share: float = 0.35  # normal requests that meet a fault and recover
    noise: float = 0.08  # chance of an unrelated line after any line

    def __post_init__(self) -> None:
        for name in ("anomaly_share", "recovered_share", "noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")


class Microservices(Generator):
    """Requests through a call graph; an anomalous one fails at one step and takes its callers along."""

    Options = Options

    def generate(self, count: int, seed: int) -> Iterator[LogSequence]:
        """Yield `count` sequences of 6 to 15 lines; the same seed and options give the same text."""
        rng = random.Random(seed)
        for number in range(count):
            yield _Request(rng, self.options).tell(f"seq_{seed}_{number:07d}")


class _Request:
    """One request on its way through the shop, telling its lines as it goes."""

    def __init__(self, rng: random.Random, options: Options) -> None:
        self.rng, self.options = rng, options
        self.path = rng.choice(list(phrases.FLOWS))
        self.trace = f"{rng.getrandbits(64):016x}"
        self.thread = f"http-nio-8080-exec-{rng.randint(1, 20)}"
        self.clock = EPOCH + timedelta(milliseconds=rng.randrange(90 * 86_400_000))
        self.lines: list[str] = []
        self.times: list[float] = []
        self.room = 0  # lines of noise that still fit
        self.services: list[str] = []
        self.root_cause: list[int] = []
        self.values = {
            "path": self.path, "trace": self.trace, "user": rng.randrange(10_000, 99_999),
            "order": rng.randrange(10**9, 10**10), "sku": rng.randrange(1000, 9999),
        }  # fmt: skip

    def tell(self, key: str) -> LogSequence:
        rng = self.rng
        steps = phrases.FLOWS[self.path]
        anomalous = rng.random() < self.options.anomaly_share
        fault = rng.choice(phrases.FAULTS) if anomalous or rng.random() < self.options.recovered_share else None
        struck = rng.randrange(len(steps)) if fault else -1
        self.room = MAX_LINES - (2 + 2 * len(steps)) - (5 if fault else 0)
        self.say("gateway", "INFO", phrases.RECEIVE)
        for position, step in enumerate(steps):
            self.say(step.service, "INFO", step.start)
            if fault and position == struck:
                self.strike(step, fault)
                if anomalous:
                    self.fall(step, fault)
                    break
                self.recover(step)
            self.say(step.service, "INFO", step.end)
        else:
            self.say("gateway", "INFO", phrases.RESPOND)
        while len(self.lines) < MIN_LINES:
            self.noise(steps[0].service)
        meta: dict[str, Any] = {
            "services": sorted(set(self.services)),
            "trace_id": self.trace,
            "language": self.options.language,
        }
        if fault and anomalous:
            meta |= {"category": fault.category, "root_cause": self.root_cause}
        return LogSequence(
            key, tuple(self.lines), int(anomalous), fault.type if fault and anomalous else None, tuple(self.times), meta
        )

    def strike(self, step: Step, fault: Fault) -> None:
        """Let the fault show at the service it hits."""
        level, cause = self.rng.choice(fault.causes)
        self.root_cause.append(len(self.lines))
        self.say(step.service, level, cause, quiet=True)
        self.say("gateway", "WARN", fault.seen_by_caller, service=step.service, quiet=True)

    def recover(self, step: Step) -> None:
        """The call is repeated and succeeds: a normal request."""
        for attempt in range(1, self.rng.randint(1, 2) + 1):
            self.say("gateway", "WARN", phrases.RETRY, service=step.service, n=attempt, quiet=True)
        self.say("gateway", "INFO", phrases.RECOVERED, service=step.service, quiet=True)

    def fall(self, step: Step, fault: Fault) -> None:
        """Retries do not help; the transaction is rolled back, the caller gets an error, or the log just ends."""
        for attempt in range(1, self.rng.randint(0, 2) + 1):
            self.say("gateway", "WARN", phrases.RETRY, service=step.service, n=attempt, quiet=True)
        ending = self.rng.random()
        if ending < 0.75:
            self.say(step.service, "ERROR" if ending < 0.5 else "WARN", phrases.ABORT, service=step.service, quiet=True)
            self.say("gateway", "ERROR" if ending < 0.5 else "INFO", phrases.REJECT, status=fault.status, quiet=True)

    def noise(self, service: str) -> None:
        level, text = self.rng.choice(phrases.NOISE)
        self.say(service, level, text, quiet=True)

    def say(self, speaker: str, level: str, text: Text, *, quiet: bool = False, **values: object) -> None:
        """Write one line; unless `quiet`, everyday noise may follow while there is room for it."""
        rng = self.rng
        self.clock += timedelta(milliseconds=rng.randint(2, 180))
        language = self.options.language
        phrase = text[rng.randrange(2) if language == "mixed" else int(language == "en")]
        details = {
            "service": speaker, "ip": f"10.{rng.randrange(256)}.{rng.randrange(256)}.{rng.randrange(1, 255)}",
            "port": rng.choice((3306, 6379, 8080, 9092)), "ms": rng.randint(2, 400), "slow": rng.randint(3000, 30_000),
            "n": rng.randint(1, 9), "count": rng.randrange(50, 90_000), "code": rng.randrange(1000, 9999),
            "money": f"{rng.randrange(100, 99_999) / 100:.2f}", "flow": f"{rng.getrandbits(48):012x}",
        }  # fmt: skip
        stamp = self.clock.strftime("%Y-%m-%d %H:%M:%S.") + f"{self.clock.microsecond // 1000:03d}"
        message = phrase.format(**(details | self.values | values))
        self.lines.append(f"{stamp} {level} [{speaker}] [{self.thread}] [traceId={self.trace}] {message}")
        self.times.append(self.clock.timestamp())
        self.services.append(speaker)
        if not quiet and self.room > 0 and rng.random() < self.options.noise:
            self.room -= 1
            self.noise(speaker)
