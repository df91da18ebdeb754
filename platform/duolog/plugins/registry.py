"""Which plugins there are, what is wrong with those that cannot be used, and the classes of those that can.

Finding reads installed metadata and imports nothing. A plugin's module is imported on its first use, in a try of its
own: a broken one costs its own name and nothing else.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from threading import RLock
from typing import Any

from duolog.plugins.options import build
from duolog.plugins.points import API, GROUPS, Plugin

OWN = "duolog"
"""Our own distribution: it wins where two offer the same name."""


class Status(StrEnum):
    """What is known of a plugin in this process."""

    FOUND = "found"  # installed, not loaded yet
    READY = "ready"
    MISSING = "missing"  # needs a GPU or a package that is not here
    INCOMPATIBLE = "incompatible"  # written for another version of the contracts
    INVALID = "invalid"  # not what its group asks for
    BROKEN = "broken"  # raised while it was loaded
    SHADOWED = "shadowed"  # another distribution owns the name
    OFF = "off"  # switched off by DUOLOG_PLUGINS_OFF
    QUARANTINED = "quarantined"  # failed too often in this process


class PluginError(Exception):
    """A plugin failed; the message names the plugin, its distribution and what it was doing."""


class PluginUnavailable(PluginError):
    """No such plugin, or it cannot be used here; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One installed plugin; `error` says what is wrong unless its status is found or ready."""

    group: str
    name: str
    value: str
    distribution: str
    version: str
    status: Status = Status.FOUND
    error: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


_lock = RLock()
_entries: dict[str, list[Entry]] = {}
_classes: dict[tuple[str, str], type[Plugin]] = {}


def discover(group: str) -> list[Entry]:
    """Return all plugins of a group with what is known of them so far; nothing is imported."""
    with _lock:
        if group not in _entries:
            _entries[group] = _read(group)
        return list(_entries[group])


def find(group: str, name: str) -> Entry:
    """Return the entry that owns a name; raise PluginUnavailable, with the names there are."""
    entries = [entry for entry in discover(group) if entry.status != Status.SHADOWED]
    for entry in entries:
        if entry.name == name:
            return entry
    known = ", ".join(sorted(entry.name for entry in entries)) or "none"
    raise PluginUnavailable(f"there is no plugin {name!r} in {group}; installed: {known}")


def get(group: str, name: str) -> type[Plugin]:
    """Return a plugin's class, loading it on first use; raise PluginUnavailable if it cannot be used here."""
    with _lock:
        entry = find(group, name)
        if entry.status == Status.FOUND:
            entry = _load(entry)
        if entry.status != Status.READY:
            raise PluginUnavailable(f"plugin {entry} is {entry.status.value}: {entry.error}")
        return _classes[group, name]


def classes(group: str) -> dict[str, type[Plugin]]:
    """Return the classes of all plugins of a group that can be used here, by name."""
    usable = (entry.name for entry in discover(group) if entry.status in (Status.FOUND, Status.READY))
    found = {}
    for name in usable:
        with suppress(PluginUnavailable):  # `inventory` tells of it
            found[name] = get(group, name)
    return found


def create(group: str, name: str, options: Mapping[str, Any]) -> Plugin:
    """Return a plugin with its options filled in; raise PluginUnavailable, PluginError or OptionsError."""
    cls = get(group, name)
    filled: Any = build(cls.Options, options)
    try:
        return cls(filled)
    except Exception as error:
        raise PluginError(f"plugin {find(group, name)} failed in __init__: {describe(error)}") from error


def owner(plugin: Plugin) -> Entry | None:
    """Return the entry whose class a plugin is an instance of, if it came from here."""
    with _lock:
        for (group, name), cls in _classes.items():
            if type(plugin) is cls:
                return find(group, name)
    return None


def quarantine(entry: Entry, error: str) -> None:
    """Refuse a plugin from now on in this process."""
    _note(entry, Status.QUARANTINED, error)


def inventory() -> list[dict[str, str]]:
    """Load every plugin and return each entry as JSON values: what this host can use, and why not the rest."""
    for group in GROUPS:
        for entry in discover(group):
            if entry.status == Status.FOUND:
                with _lock:
                    _load(entry)
    return [dataclasses.asdict(entry) | {"status": entry.status.value} for group in GROUPS for entry in discover(group)]


def describe(error: BaseException) -> str:
    """Return an exception in one line."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _read(group: str) -> list[Entry]:
    def rank(point: EntryPoint) -> tuple[str, bool, str]:
        distribution = point.dist.name if point.dist else ""
        return point.name, distribution != OWN, distribution

    off = {name.strip() for name in os.environ.get("DUOLOG_PLUGINS_OFF", "").split(",")}
    owners: dict[str, str] = {}
    entries = []
    for point in sorted(entry_points(group=group), key=rank):
        distribution, version = (point.dist.name, point.dist.version) if point.dist else ("", "")
        entry = Entry(group, point.name, point.value, distribution, version)
        if point.name in owners:
            error = f"the name belongs to {owners[point.name]}"
            entry = dataclasses.replace(entry, status=Status.SHADOWED, error=error)
        elif off & {point.name, f"{group.removeprefix('duolog.')}:{point.name}"}:
            entry = dataclasses.replace(entry, status=Status.OFF, error="switched off by DUOLOG_PLUGINS_OFF")
        owners.setdefault(point.name, distribution)
        entries.append(entry)
    return entries


def _load(entry: Entry) -> Entry:
    point = EntryPoint(entry.name, entry.value, entry.group)
    try:
        cls = point.load()
        status, error = _judge(cls, GROUPS[entry.group])
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as missing:
        theirs = (missing.name or "").split(".")[0] == point.module.split(".")[0]
        status = Status.BROKEN if theirs else Status.MISSING
        error = f"package {missing.name} is not installed" if not theirs else describe(missing)
    except BaseException as failure:  # noqa: BLE001 - SystemExit included: a plugin must not stop its host
        status, error = Status.BROKEN, describe(failure)
    if status == Status.READY:
        _classes[entry.group, entry.name] = cls
    return _note(entry, status, error)


def _judge(cls: Any, base: type[Plugin]) -> tuple[Status, str]:
    """Return the status of what an entry point led to."""
    if not (isinstance(cls, type) and issubclass(cls, base)):
        return Status.INVALID, f"{cls!r} is not a subclass of duolog.plugins.points.{base.__name__}"
    if cls.api != API:
        return Status.INCOMPATIBLE, f"written for version {cls.api} of the plugin contracts; this is version {API}"
    if inspect.isabstract(cls):
        return Status.INVALID, f"does not define {', '.join(sorted(cls.__abstractmethods__))}"
    if not (isinstance(cls.Options, type) and dataclasses.is_dataclass(cls.Options)):
        return Status.INVALID, "Options is not a dataclass"
    if lacking := [name for name in cls.needs.packages if importlib.util.find_spec(name) is None]:
        return Status.MISSING, f"package {', '.join(lacking)} is not installed"
    if cls.needs.gpu and not _has_gpu():
        return Status.MISSING, "needs a GPU"
    return Status.READY, ""


@cache
def _has_gpu() -> bool:
    """Ask the driver's tool: a prefork parent must not touch CUDA, and this package must not import torch."""
    tool = shutil.which("nvidia-smi")
    if tool is None or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return False
    answer = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30, check=False)
    return answer.returncode == 0 and "GPU" in answer.stdout


def _note(entry: Entry, status: Status, error: str) -> Entry:
    noted = dataclasses.replace(entry, status=status, error=error)
    with _lock:
        entries = _entries[entry.group]
        same = (entry.name, entry.distribution)
        _entries[entry.group] = [noted if (one.name, one.distribution) == same else one for one in entries]
    return noted


def forget() -> None:
    """Look again from the beginning: for tests that install plugins or switch them off."""
    with _lock:
        _entries.clear()
        _classes.clear()
