"""Tensors and settings on disk: safetensors and JSON, with a format number and a hash; never pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

FORMAT = 3  # 3: the small model knows the labels-free distances
TENSORS, STATE = "tensors.safetensors", "state.json"


class Unreadable(RuntimeError):
    """The folder was not written by `save`, is of another format, or was changed since; the message says which."""


def save(folder: Path, tensors: Mapping[str, NDArray[Any]], state: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON-ready `state` into a folder."""
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / TENSORS)
    content = {"format": FORMAT, "sha256": _sha256(folder / TENSORS), "state": dict(state)}
    (folder / STATE).write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def load(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Return what `save` wrote; raise Unreadable if that is not what lies there."""
    try:
        content = json.loads((folder / STATE).read_text(encoding="utf-8"))
        found = _sha256(folder / TENSORS)
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise Unreadable(f"{folder.name} holds no {STATE} and {TENSORS} of ours: {error}") from error
    if content["format"] != FORMAT:
        raise Unreadable(f"{folder.name} has format {content['format']}, this version reads {FORMAT}: train again")
    if content["sha256"] != found:
        raise Unreadable(f"{TENSORS} in {folder.name} was changed after it was written")
    return load_file(folder / TENSORS), content["state"]


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
