"""The value types that cross a plugin seam: frozen, plain, and free of any framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Rows of float32; the last axis is the encoder's dimension."""


@dataclass(frozen=True, slots=True)
class LogSequence:
    """One sequence of log lines, the unit that Duolog judges.

    `label` is 0 (normal), 1 (anomalous) or None (nobody said); `times` are Unix seconds, one a line, or empty;
    `meta` holds JSON values that a format carried along (service, host, root-cause lines, ...). `confidence` is the
    probability that the label is right.
    """

    id: str
    entries: tuple[str, ...]
    label: int | None = None
    type: str | None = None
    times: tuple[float, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    confidence: float = 1.0


class Reason(str):
    """A sentence in English that can be told in other languages, too: it keeps `message` and `values` apart.

    `message` holds `%(name)s` for each of the `values` (JSON), and is what a catalogue of translations knows it by.
    `file` among them, if it has one, is put before the sentence: of a folder, the file that it speaks of.
    """

    message: str
    values: Mapping[str, Any]

    def __new__(cls, message: str, /, **values: Any) -> Self:
        """Fill in the values."""
        reason = super().__new__(cls, fill(message, values))
        reason.message, reason.values = message, values
        return reason


def fill(message: str, values: Mapping[str, Any]) -> str:
    """Return a message of a `Reason`, in whatever language it is, with its values."""
    text = message % values if values else message
    return f"{values['file']}: {text}" if "file" in values else text


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A row that could not be understood: where it stood, why, and its text: of a file's the first 500 characters.

    A `reason` that is a `Reason` is shown in the language of whoever looks, any other as it is.
    """

    row: int
    reason: str
    excerpt: str


Record = LogSequence | BadRecord


@dataclass(frozen=True, slots=True)
class Blame:
    """How much one line (0-based) moves its sequence's score; weights of a sequence are >= 0 and sum to 1 or 0."""

    line: int
    weight: float


Language = Literal["zh", "en"]
"""The languages that Duolog speaks."""


@dataclass(frozen=True, slots=True)
class Precedent:
    """A similar finding of the past, and what people decided on it; `type` is "" where it was a false alarm."""

    entries: tuple[str, ...]
    anomalous: bool
    type: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A flagged sequence as an analyst gets it: redacted, with its score and where that comes from.

    `blame` holds one weight a line, or nothing; `types` are the anomaly types that may be answered, by their names.
    """

    sequence: LogSequence
    score: float
    threshold: float
    blame: tuple[float, ...] = ()
    types: tuple[str, ...] = ()
    similar: tuple[Precedent, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line (0-based) that bears a report out, and the words of it that do."""

    line: int
    quote: str


@dataclass(frozen=True, slots=True)
class Wording:
    """What a report says, in one language; lines are named in it as people count them, from 1."""

    summary: str
    root_cause: str
    recommendations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a report took; `model` says which model wrote it, `cost` is in the currency of the prices that were set."""

    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """One verdict on a sequence, worded in any number of languages.

    `category`, `type` and `severity` are names of `logs.engine.taxonomy` (`type` may be one of the case's own), and ""
    where the sequence is not `anomalous`. `probabilities` of the types, if the analyst knows any, are for calibration.
    """

    anomalous: bool
    category: str
    type: str
    severity: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()
    texts: Mapping[Language, Wording] = field(default_factory=dict)
    probabilities: Mapping[str, float] = field(default_factory=dict)
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Unexplained:
    """A case on which an analyst has no report: why, as in a BadRecord, and what trying took."""

    reason: str
    usage: Usage = Usage()


Draft = Callable[[int, str], None]
"""Is told, of a case by its number, all that has been written of its report so far; for people who watch."""


@dataclass(frozen=True, slots=True)
class Alert:
    """What people are told of one anomaly: that it is there (firing), or that it is settled (resolved).

    `labels` say which one it is, the same from firing to resolved: no score is among them. `id` is the same however
    often this is told. `title` is in the language of whoever is told, `summary` in any of `Language`; both may quote
    lines of a log, so they are text and never markup. `count` sequences looked like it so far; `url` is its page.
    """

    id: str
    project: str
    kind: Literal["firing", "resolved"]
    title: str
    started: datetime
    ended: datetime | None = None
    service: str = ""
    type: str = ""
    category: str = ""
    severity: str = ""
    score: float | None = None
    count: int = 1
    url: str = ""
    summary: Mapping[Language, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


class NotDelivered(Exception):
    """A message did not arrive: why, after how many seconds to try again, or that trying again is no use."""

    def __init__(self, reason: str, *, retry_after: float | None = None, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after, self.permanent = reason, retry_after, permanent


@dataclass(slots=True)
class LogBatch:
    """Lines that came in one request, by columns of equal length; `rejected` are records that made no sense.

    `times` are Unix seconds, None where the record had none; `services` and `levels` may hold ""; `attributes` are
    one JSON object of strings a line (nested names joined by dots: `user.id`), or "".
    """

    texts: list[str] = field(default_factory=list)
    times: list[float | None] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    rejected: list[BadRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Received:
    """A request as a receiver sees it: authenticated, of bounded size, unpacked.

    `path` is the part that the receiver claimed, without the prefix of a project; names of `headers` are lower case.
    """

    method: str
    path: str
    content_type: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch that is committed: its id, the lines stored, the records quarantined.

    `duplicate`: the same batch was committed earlier, and the figures are those of that time.
    """

    id: str
    lines: int
    rejected: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the client gets to read."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """A request that cannot be taken as it is: the HTTP status, and a sentence that says why and what to do."""

    def __init__(self, status: int, reason: str, *, retry_after: int = 0) -> None:
        super().__init__(reason)
        self.status, self.reason, self.retry_after = status, reason, retry_after


Store = Callable[[LogBatch], Receipt]
"""Commits a batch, redacted and whole or not at all; raises Refused on overload."""


class Context(Protocol):
    """What long work may tell its runner; `workers.context.RunContext` is the real one, `NullContext` the silent one.

    Every call is cheap and touches memory only. `checkpoint` raises the runner's own exception when the work must
    stop (cancelled, lease lost), so an engine needs no other way out.
    """

    def stage(self, name: str, total: int = 0) -> None:
        """Begin a named stage of `total` steps (0: unknown)."""

    def advance(self, steps: int = 1) -> None:
        """Count finished steps of the stage."""

    def metric(self, name: str, value: float, step: int) -> None:
        """Record one point of a curve."""

    def log(self, message: str, level: str = "info") -> None:
        """Write one line to the run's log; `level` is info, warning or error."""

    def checkpoint(self, step: int = 0, save: Callable[[Path], None] | None = None) -> None:
        """Stop here if asked to; else, when `save` is given, keep what it writes into a folder for a next attempt."""

    def resume(self) -> tuple[int, Path] | None:
        """Return the step and folder of the newest checkpoint of an earlier attempt, or None."""


class NullContext:
    """A context for work that nobody watches."""

    def stage(self, name: str, total: int = 0) -> None:
        """Ignore."""

    def advance(self, steps: int = 1) -> None:
        """Ignore."""

    def metric(self, name: str, value: float, step: int) -> None:
        """Ignore."""

    def log(self, message: str, level: str = "info") -> None:
        """Ignore."""

    def checkpoint(self, step: int = 0, save: Callable[[Path], None] | None = None) -> None:
        """Ignore."""

    def resume(self) -> tuple[int, Path] | None:
        """Nothing was kept."""
        return None


class LineVectors(Protocol):
    """Vectors of masked lines, each distinct line encoded once (`detection.engine.vectors.VectorStore`)."""

    @property
    def dim(self) -> int:
        """Length of one vector."""

    @property
    def digest(self) -> str:
        """Identity of the encoder's weights and settings: equal digests give equal vectors."""

    def index(self, sequences: Sequence[LogSequence], ctx: Context) -> tuple[list[NDArray[np.int32]], Vectors]:
        """Mask and encode; return one row-index array a sequence, and the table [rows, dim] they point into."""
