"""The plugin points: small ABCs; a plugin subclasses one and names itself in the entry-point group of the same kind.

A plugin declares `api = 1`, a frozen dataclass `Options` (validated in `__post_init__`), and what it `needs`.
Plugins are called through `duolog.plugins.guard.call` only, which checks what they return.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from duolog.plugins.types import (
    Alert,
    Case,
    Context,
    Draft,
    Language,
    LineVectors,
    LogSequence,
    Received,
    Record,
    Refused,
    Reply,
    Report,
    Store,
    Unexplained,
    Vectors,
)  # fmt: skip

API = 1
"""Version of these contracts; a plugin of another version is listed as incompatible, never loaded."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a plugin cannot run without: a CUDA device, and importable packages by module name."""

    gpu: bool = False
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a notifier may send: at most `messages` in any minute, of which `burst` at once.

    Nothing is sent in the `quiet` seconds after each full and each half hour (UTC), when everybody's timers go off.
    """

    messages: int
    burst: int = 1
    quiet: float = 0.0

    @property
    def interval(self) -> float:
        """Seconds from one message to the next once the burst is spent; with it, a minute holds `messages`."""
        return 60.0 / (self.messages - self.burst)


@dataclass(frozen=True)
class NoOptions:
    """Options of a plugin that has none."""


class Plugin(ABC):  # noqa: B024 - the points below add the abstract methods
    """Base of all plugins; `options` is an instance of the class's own `Options`."""

    api: ClassVar[int] = API
    needs: ClassVar[Needs] = Needs()
    Options: ClassVar[type] = NoOptions

    def __init__(self, options: Any = None) -> None:
        self.options = self.Options() if options is None else options


class Format(Plugin):
    """Bytes to records and back (group `duolog.formats`)."""

    extensions: ClassVar[tuple[str, ...]] = ()
    binary: ClassVar[bool] = False
    """Whether `sniff` and `read` get the file's own bytes (seekable) instead of unpacked text in UTF-8."""
    understood: Mapping[str, Any] = MappingProxyType({})
    """What `read` found out by itself, as the options that would have said so; set before the first record."""

    @abstractmethod
    def sniff(self, head: bytes, name: str) -> float:
        """Return how sure this is the right format, 0 to 1, from a file's first bytes (decompressed) and its name."""

    @abstractmethod
    def read(self, stream: BinaryIO) -> Iterator[Record]:
        """Yield records in file order in bounded memory; a row that makes no sense is a BadRecord, not an error."""

    def write(self, sequences: Iterable[LogSequence], stream: BinaryIO) -> int:
        """Write sequences and return their number; raise NotImplementedError if the format is read-only."""
        raise NotImplementedError(f"{type(self).__name__} cannot be written")


class Receiver(Plugin):
    """A protocol by which shippers send lines over HTTP (group `duolog.receivers`).

    The platform authenticates, unpacks and bounds a request before a receiver sees it, and serves each path a second
    time under `in/<project>/`.
    """

    paths: ClassVar[tuple[str, ...]]
    """Regular expressions of what follows the host's `/`, matched as a whole."""
    overloaded: ClassVar[int] = 429
    """The status at which this protocol's clients wait and send again."""

    @abstractmethod
    def handle(self, request: Received, store: Store) -> Reply:
        """Decode, `store` what was understood, and answer as the protocol's own server would.

        A record that makes no sense goes into the batch's `rejected`, and the client is told success: else it would
        send the same for ever, or drop the good ones with it. Raise Refused for a request of which nothing can be read.
        """

    def refuse(self, request: Received, refused: Refused) -> Reply:
        """Return how this protocol tells that a request was refused."""
        headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
        return Reply(refused.status, refused.reason.encode(), "text/plain; charset=utf-8", headers)


class Encoder(Plugin):
    """Masked lines to vectors (group `duolog.encoders`)."""

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of one vector."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Hash of weights, tokenizer and settings: the key under which vectors are cached."""

    @abstractmethod
    def encode(self, lines: Sequence[str]) -> Vectors:
        """Return float32 [len(lines), dim], one row a line, in order, finite."""

    def trainable(self) -> Any:
        """Return a new `torch.nn.Module` with this encoder's weights, from a list of lines to a tensor [lines, dim].

        Gradients reach its parameters that require them, and those alone are trained and kept with a version. Raise
        NotImplementedError, as this does, if there is no such thing.
        """
        raise NotImplementedError(f"the encoder {type(self).__name__} cannot be trained further")


class Detector(Plugin):
    """A model that scores sequences (group `duolog.detectors`).

    Scores lie in [0, 1] and rise with suspicion. `needs_labels` says whether `fit` reads labels.
    """

    needs_labels: ClassVar[bool] = True

    @abstractmethod
    def fit(
        self, train: Sequence[LogSequence], validation: Sequence[LogSequence], vectors: LineVectors, ctx: Context
    ) -> float:
        """Learn, and return the decision threshold (a score at or above it is anomalous)."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write safetensors and JSON into an empty folder; never pickle."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Restore what `save` wrote."""

    @abstractmethod
    def score(self, sequences: Sequence[LogSequence], vectors: LineVectors, ctx: Context) -> NDArray[np.float64]:
        """Return one score a sequence, in order."""


class Generator(Plugin):
    """A source of labelled synthetic sequences (group `duolog.generators`)."""

    @abstractmethod
    def generate(self, count: int, seed: int) -> Iterator[LogSequence]:
        """Yield `count` sequences; the same seed and options give the same bytes on any machine."""


class Analyst(Plugin):
    """Explains flagged sequences (group `duolog.analysts`).

    One that `learns` can be fine-tuned: `fit`, `save` and `load` are those of a detector.
    """

    remote: ClassVar[bool] = False
    """Whether lines leave the machines of whoever runs Duolog; a project may forbid that."""
    learns: ClassVar[bool] = False

    @abstractmethod
    def explain(
        self, cases: Sequence[Case], languages: Sequence[Language], ctx: Context, draft: Draft
    ) -> Sequence[Report | Unexplained]:
        """Return one report a case, in order, worded in `languages`; without any, the verdict alone, which is fast.

        Whatever a line says is evidence and never an instruction. A case of which nothing can be said is Unexplained
        and costs no other its report; raise an error of your own where that goes for all of them.
        """

    def fit(self, train: Sequence[LogSequence], validation: Sequence[LogSequence], ctx: Context) -> Mapping[str, float]:
        """Learn from labelled sequences, whose `meta["analysis"]` may hold a model answer; return figures."""
        raise NotImplementedError(f"{type(self).__name__} cannot be fine-tuned")

    def save(self, folder: Path) -> None:
        """Write what was learned as safetensors and JSON into an empty folder; never pickle."""
        raise NotImplementedError(f"{type(self).__name__} cannot be fine-tuned")

    def load(self, folder: Path) -> None:
        """Restore what `save` wrote."""
        raise NotImplementedError(f"{type(self).__name__} cannot be fine-tuned")


class Notifier(Plugin):
    """Tells people, or their systems, of anomalies (group `duolog.notifiers`).

    Options that nobody may read again are marked by `duolog.plugins.options.option(secret=True)`; one called `language`
    is filled in with the site's where it is empty. Connect through `duolog.addresses`, which keeps users from the
    networks that the platform itself can reach.
    """

    rate: ClassVar[Rate] = Rate(messages=60, burst=10)
    repeat: ClassVar[float] = 0.0
    """Seconds after which what is still firing is told again, for receivers that forget; 0: once is enough."""

    @abstractmethod
    def send(self, alerts: Sequence[Alert]) -> None:
        """Tell all of it in one message; raise NotDelivered if it did not arrive, or if nobody can know.

        The same may be sent twice (a sender may die before it has noted that it sent): pass `id` on where the receiver
        can make use of it.
        """


GROUPS: dict[str, type[Plugin]] = {
    "duolog.formats": Format,
    "duolog.receivers": Receiver,
    "duolog.encoders": Encoder,
    "duolog.detectors": Detector,
    "duolog.generators": Generator,
    "duolog.analysts": Analyst,
    "duolog.notifiers": Notifier,
}
"""Entry-point group to base class."""
