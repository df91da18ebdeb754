"""Line vectors kept in Postgres, and this process's store of them for each encoder."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.db import connection

from detection.models import LineVector
from duolog.plugins import guard, registry
from duolog.plugins.points import Encoder

if TYPE_CHECKING:
    from detection.engine.vectors import VectorStore

GROUP = "duolog.encoders"
TABLE = LineVector._meta.db_table
CHUNK = 10_000


class Table:
    """The `VectorBackend` over the table of line vectors: one statement for thousands of lines."""

    def get(self, digest: str, keys: list[bytes]) -> dict[bytes, bytes]:
        """Return the vectors that are known, by key."""
        found: dict[bytes, bytes] = {}
        with connection.cursor() as cursor:
            for start in range(0, len(keys), CHUNK):
                cursor.execute(
                    f"SELECT line, vector FROM {TABLE} WHERE encoder = %s AND line = ANY(%s)",  # noqa: S608
                    [digest, keys[start : start + CHUNK]],
                )
                found.update((bytes(line), bytes(vector)) for line, vector in cursor)
        return found

    def put(self, digest: str, vectors: dict[bytes, bytes]) -> None:
        """Keep vectors; those that are known already stay as they are."""
        # The race: two workers meet the same new lines. Equal digests give equal vectors, so whoever comes second has
        # nothing to add; and both write in the order of the keys, or they could wait for each other in a circle.
        rows = sorted(vectors.items())
        with connection.cursor() as cursor:
            for start in range(0, len(rows), CHUNK):
                lines, values = zip(*rows[start : start + CHUNK], strict=True)
                cursor.execute(
                    f"INSERT INTO {TABLE} (encoder, line, vector)"  # noqa: S608
                    " SELECT %s, * FROM unnest(%s::bytea[], %s::bytea[]) ON CONFLICT DO NOTHING",
                    [digest, list(lines), list(values)],
                )


@lru_cache(maxsize=2)
def store(encoder: str) -> VectorStore:
    """Return this process's vector store for an encoder, kept so that its weights are loaded once.

    `encoder` names an installed encoder plugin, or else a model for the built-in `bert` (see DUOLOG_ENCODER).
    """
    from detection.engine.vectors import VectorStore

    if any(entry.name == encoder for entry in registry.discover(GROUP)):
        plugin = registry.create(GROUP, encoder, {})
    else:
        cache = str(settings.HOME / "encoders")
        plugin = registry.create(GROUP, "bert", {"model": encoder, "cache": cache})
    for name in ("dim", "digest"):  # here is where an encoder finds out that its model is not to be had
        guard.attribute(plugin, name)
    return VectorStore(cast(Encoder, plugin), Table())


@lru_cache(maxsize=2)
def ready(encoder: str) -> None:
    """Load an encoder's weights now, and not when the first line comes that no table knows: that may be an alarm."""
    guard.call(store(encoder).encoder, "encode", ["ready"])
