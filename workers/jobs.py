"""What a job author writes: a class with `run`, registered by `@job`; and the exceptions that carry a decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, get_args

from django.utils.translation import gettext
from typing_extensions import get_original_bases

if TYPE_CHECKING:
    from workers.context import RunContext

O = TypeVar("O")  # noqa: E741 - the options dataclass of a job

Finish = Callable[[], Mapping[str, Any] | None]
"""Writes a run's domain rows inside its fenced transaction; what it returns becomes `Run.result`."""


class JobFailed(Exception):
    """The work cannot succeed as asked; the message says what to change. Never retried."""


class Conflict(JobFailed):
    """What somebody asks for no longer fits what there is: somebody else was faster."""


class Cancelled(Exception):
    """Someone asked the run to stop; raised from `ctx.checkpoint()`."""


class LeaseLost(Exception):
    """The run belongs to another attempt by now; whatever this one still writes is refused."""


class Job(ABC, Generic[O]):
    """One kind of long work.

    `run` computes and returns a function that writes the results; the supervisor calls that function inside the
    transaction that also marks the run as succeeded, so the effect happens exactly once however often the work ran.
    """

    spec: ClassVar[JobSpec]

    @abstractmethod
    def run(self, options: O, ctx: RunContext) -> Finish | None:
        """Do the work; report through `ctx`, and call `ctx.checkpoint()` at least every few seconds."""

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Options for this job when the job it follows has succeeded with `result`; None: nothing to do."""
        return None


@dataclass(frozen=True)
class JobSpec:
    """How a job is queued and retried."""

    name: str
    queue: str
    cls: type[Job[Any]]
    options: type
    retry_on: tuple[type[Exception], ...]
    max_attempts: int
    follows: str | None


REGISTRY: dict[str, JobSpec] = {}


def job(
    name: str,
    *,
    queue: str = "cpu",
    retry_on: tuple[type[Exception], ...] = (),
    max_attempts: int = 3,
    follows: str | None = None,
) -> Callable[[type[Job[Any]]], type[Job[Any]]]:
    """Register a Job class under `name`; its options dataclass is read from `Job[Options]`."""

    def register(cls: type[Job[Any]]) -> type[Job[Any]]:
        if name in REGISTRY:
            raise ValueError(f"two jobs are called {name!r}: {REGISTRY[name].cls.__qualname__}, {cls.__qualname__}")
        (options,) = get_args(get_original_bases(cls)[0])
        cls.spec = JobSpec(name, queue, cls, options, retry_on, max_attempts, follows)
        REGISTRY[name] = cls.spec
        return cls

    return register


def find(name: str) -> JobSpec:
    """Return the job called `name`; raise JobFailed if this process knows none."""
    try:
        return REGISTRY[name]
    except KeyError:
        known = ", ".join(sorted(REGISTRY))
        message = gettext("there is no job called %(name)s; known: %(known)s")
        raise JobFailed(message % {"name": name, "known": known}) from None


def followers(name: str) -> list[JobSpec]:
    """Jobs that start when a run of job `name` succeeds."""
    return [spec for spec in REGISTRY.values() if spec.follows == name]
