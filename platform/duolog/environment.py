"""Read settings from the environment, or from the file that `NAME_FILE` points to; what is odd fails loudly."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class SettingError(RuntimeError):
    """A setting is missing or makes no sense; the message names the variable and what it should hold."""


def env(name: str, default: str | None = None) -> str:
    """Return the variable, or the content of the file named by `NAME_FILE` (Docker secrets), or the default."""
    value = os.environ.get(name)
    if value:
        return value
    file = os.environ.get(f"{name}_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingError(f"{name}_FILE points to {file}, which cannot be read: {error.strerror}") from error
    if default is None:
        raise SettingError(f"{name} is not set (and neither is {name}_FILE)")
    return default


def env_bool(name: str, default: bool) -> bool:
    """Return a yes/no variable; raise SettingError on anything but 1/0, true/false, yes/no, on/off."""
    value = env(name, str(default)).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise SettingError(f"{name}={value!r} is not yes or no; use 1 or 0")


def env_number(name: str, default: float, *, least: float = 0) -> float:
    """Return a number of at least `least`."""
    value = env(name, str(default))
    try:
        number = float(value)
    except ValueError as error:
        raise SettingError(f"{name}={value!r} is not a number") from error
    if number < least:
        raise SettingError(f"{name}={value!r} is below {least:g}")
    return number


def env_list(name: str, default: str) -> list[str]:
    """Return a comma-separated variable as its parts."""
    return [part.strip() for part in env(name, default).split(",") if part.strip()]


def env_choice(name: str, default: str, known: Sequence[str]) -> str:
    """Return one of the values that are known."""
    value = env(name, default).lower()
    if value not in known:
        raise SettingError(f"{name}={value!r} is none of {', '.join(known)}")
    return value


def env_options(name: str) -> dict[str, dict[str, Any]]:
    """Return the options of plugins, by the plugin's name: a JSON object of objects; without the variable, none."""
    value = env(name, "{}")
    try:
        told = json.loads(value)
    except ValueError as error:
        raise SettingError(f"{name} is not JSON: {error}") from error
    if not isinstance(told, dict) or not all(isinstance(options, dict) for options in told.values()):
        raise SettingError(f'{name} is not a JSON object of options by plugin, such as {{"http": {{"model": "…"}}}}')
    return told
