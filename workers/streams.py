"""Work that never ends, in stages: what one stage commits, the next one takes up, a source of lines at a time.

A stage that has to do with something else calls it a source, too: alerts go out a channel at a time.

As with runs, Postgres is the queue and a message is only a doorbell: a stage reads what is due from its own tables,
and takes it out in the transaction that keeps the result. A message that is lost is made up for by the sweeper, which
asks `due` every second; one that is doubled finds nothing to do. Runs are for work that ends and that people look at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from workers.celery import app

logger = logging.getLogger(__name__)

QUEUE = "stream"
UNHEARD = 2_000
"""Milliseconds after which a doorbell that nobody heard is rung again."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: `step` works off a part for a source and tells whether more is left; `due` names the sources.

    A step is a transaction, but for one that is not `atomic`, which looks after its own: it waits for other machines.
    Such ones have a `queue` of their own, lest lines wait behind them.
    """

    step: Callable[[int], bool]
    due: Callable[[], Iterable[int]]
    after: str
    queue: str
    atomic: bool


STAGES: dict[str, Stage] = {}
CHORES: list[Callable[[], object]] = []
"""What the sweeper does now and then, safe in many copies: forget what is too old, say."""
_bell: redis.Redis | None = None


def stage(
    name: str, *, due: Callable[[], Iterable[int]], after: str = "", queue: str = QUEUE, atomic: bool = True
) -> Callable[[Callable[[int], bool]], Callable[[int], bool]]:
    """Register a step; it is taken for a source whenever a step of `after` was."""

    def register(step: Callable[[int], bool]) -> Callable[[int], bool]:
        STAGES[name] = Stage(step, due, after, queue, atomic)
        return step

    return register


def ring(name: str, source: int) -> None:
    """Announce that a stage may have work for a source, at most once until somebody looks.

    A broker that is away is no error: the sweeper asks again.
    """
    try:
        if _doorbell().set(_key(name, source), 1, nx=True, px=UNHEARD):
            app.send_task(
                "workers.step", args=[name, source], queue=STAGES[name].queue, retry=False, ignore_result=True
            )
    except (OperationalError, OSError, redis.RedisError) as error:
        logger.warning("stage=%s source=%d not announced: %s", name, source, error)


def run(name: str, source: int) -> None:
    """Do what is due of a stage for a source, part by part, and what follows from it after each part."""
    try:
        # Before the look, not after it: what is committed from here on is announced anew.
        _doorbell().delete(_key(name, source))
    except redis.RedisError as error:
        logger.warning("stage=%s source=%d: %s", name, source, error)
    _work(name, source)


def _work(name: str, source: int) -> None:
    more = True
    while more:
        with transaction.atomic() if STAGES[name].atomic else nullcontext():
            more = STAGES[name].step(source)
        # Here and not by a message each: a worker that is busy looks for messages only now and then.
        for follower, stage in STAGES.items():
            if stage.after == name:
                _work(follower, source)


def ring_due() -> int:
    """Ring for all that is due anywhere, and return how much that was."""
    found = [(name, source) for name, stage in STAGES.items() for source in stage.due()]
    for name, source in found:
        ring(name, source)
    return len(found)


def _key(name: str, source: int) -> str:
    return f"duolog:bell:{name}:{source}"


def _doorbell() -> redis.Redis:
    global _bell
    if _bell is None:
        broker = settings.CELERY_BROKER_URL
        url = broker if broker.startswith("redis") else settings.SERVICES.redis_url  # the broker may be RabbitMQ
        # Celery and the client call a socket by different names.
        url = url.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
        _bell = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    return _bell
