"""The artifact store: folders that appear whole or not at all, and are known by the SHA-256 of their content.

All hosts share `settings.ARTIFACTS`. Paths are relative to it: `runs/<run>/<attempt>/<name>-<step>-<content>`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext

from workers.models import Artifact

CHUNK = 1 << 20


class ArtifactDamaged(RuntimeError):
    """An artifact is missing or its content is not what was stored."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What `write` kept."""

    path: str
    bytes: int
    sha256: str


def write(*, folder: str, name: str, save: Callable[[Path], None]) -> Stored:
    """Let `save` fill an empty folder, then move it into the store in one step, safe against a crash."""
    parent = locate(folder)
    parent.mkdir(parents=True, exist_ok=True)
    # Beside its final place: a rename within one file system is atomic, and `prune` finds what a crash left.
    with tempfile.TemporaryDirectory(dir=parent, prefix="unfinished-", ignore_cleanup_errors=True) as temporary:
        made = Path(temporary) / "content"
        made.mkdir()
        save(made)
        size, sha256 = digest(made, sync=True)
        final = parent / f"{name}-{sha256[:12]}"
        if not final.exists():  # the content is part of the name: what is there already is the same
            made.rename(final)
            _sync(parent)
    return Stored(str(final.relative_to(locate("."))), size, sha256)


def locate(path: str) -> Path:
    """Return the place of a stored path; raise ValueError if it points out of the store."""
    root = settings.ARTIFACTS.resolve()
    full: Path = (root / path).resolve()
    if not full.is_relative_to(root):
        raise ValueError(f"{path!r} lies outside the artifact store")
    return full


def verify(path: str, sha256: str) -> Path:
    """Return the place of an artifact; raise ArtifactDamaged unless its content has this hash."""
    place = locate(path)
    if not place.exists():
        raise ArtifactDamaged(gettext("artifact %(path)s is missing") % {"path": path})
    if digest(place)[1] != sha256:
        raise ArtifactDamaged(gettext("artifact %(path)s differs from what was stored") % {"path": path})
    return place


def digest(place: Path, *, sync: bool = False) -> tuple[int, str]:
    """Return size and SHA-256 over names, lengths and bytes of all files below; with `sync`, flush them to disk."""
    total, whole = 0, hashlib.sha256()
    for file in _files(place):
        size = file.stat().st_size
        whole.update(f"{file.relative_to(place).as_posix()}\0{size}\0".encode())
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                whole.update(chunk)
            if sync:
                os.fsync(stream.fileno())
        total += size
    if sync:
        for folder in [place, *(path for path in place.rglob("*") if path.is_dir())]:
            _sync(folder)
    return total, whole.hexdigest()


def remove(paths: Iterable[str]) -> None:
    """Delete artifacts whose rows are gone."""
    for path in paths:
        shutil.rmtree(locate(path), ignore_errors=True)


def prune(run_id: UUID, attempt: int | None = None) -> None:
    """Delete what a run (or one attempt of it) left without an Artifact row: old checkpoints, refused work."""
    home = locate(f"runs/{run_id}")
    if not home.exists():
        return
    kept = set(Artifact.objects.filter(run=run_id).values_list("path", flat=True))
    for folder in home.glob("*" if attempt is None else str(attempt)):
        for artifact in folder.iterdir():
            if str(artifact.relative_to(locate("."))) not in kept:
                shutil.rmtree(artifact, ignore_errors=True)
    for folder in [*home.glob("*"), home]:
        # Fails where an artifact is kept, or another attempt writes right now: then the folder is needed.
        if folder.exists() and not any(folder.iterdir()):
            shutil.rmtree(folder, ignore_errors=True)


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    else:
        yield from sorted(path for path in place.rglob("*") if path.is_file())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
