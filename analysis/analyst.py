"""Which analyst writes the reports of a project: chosen, allowed, and loaded once a process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import Any, cast

import msgspec
from django.conf import settings
from django.utils.translation import gettext

from detection import versions
from detection.models import ModelVersion
from detection.versions import VersionError
from duolog.plugins import guard, registry
from duolog.plugins.options import OptionsError
from duolog.plugins.points import Analyst
from duolog.plugins.registry import PluginError
from logs.models import Project
from workers import store
from workers.jobs import JobFailed
from workers.store import ArtifactDamaged

GROUP = "duolog.analysts"
RULES = "rules"
"""The analyst that is always there."""
KEPT = 2  # loaded analysts a process keeps
MARKS = frozenset("@:")


class RemoteForbidden(JobFailed):
    """The analyst would send lines away from a project that forbids it."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """An analyst ready to write; equal `identity` means that it says the same about the same."""

    plugin: Analyst
    name: str
    identity: str
    version: ModelVersion | None = None

    @property
    def remote(self) -> bool:
        """Whether lines leave the machines of whoever runs Duolog."""
        return bool(guard.attribute(self.plugin, "remote"))


def choose(*, project: str, ref: str = "") -> Chosen:
    """Return the analyst that `ref` means, or else DUOLOG_ANALYST, or else the project's champion, or else the rules.

    `ref` is the name of a plugin or a model version of the kind analyst (`versions.resolve`). Raises JobFailed for one
    that is not there or cannot be used here, RemoteForbidden for one that would send lines away against the project's
    will.
    """
    ref = ref or settings.ANALYST
    try:
        chosen = _load(_champion(project) if not ref else _named(project, ref))
    except (PluginError, OptionsError, ArtifactDamaged) as error:
        raise JobFailed(str(error)) from error
    # The one place that lets lines out.
    if chosen.remote and not Project.objects.filter(slug=project, remote_analysts=True).exists():
        text = gettext(
            "the analyst %(analyst)s would send lines to another machine, and project %(project)s forbids that; "
            "an owner may allow it (remote_analysts of the project)"
        )
        raise RemoteForbidden(text % {"analyst": chosen.name, "project": project})
    return chosen


def _champion(project: str) -> ModelVersion | str:
    try:
        return versions.resolve(project=project, kind=ModelVersion.Kind.ANALYST)
    except VersionError:
        return RULES


def _named(project: str, ref: str) -> ModelVersion | str:
    if not MARKS & set(ref) and any(entry.name == ref for entry in registry.discover(GROUP)):
        return ref
    try:
        return versions.resolve(project=project, ref=ref, kind=ModelVersion.Kind.ANALYST)
    except VersionError as error:
        known = ", ".join(sorted(entry.name for entry in registry.discover(GROUP)))
        text = gettext("%(error)s; or an analyst that needs no training: %(known)s")
        raise VersionError(text % {"error": error, "known": known}) from error


_loaded: OrderedDict[str, Analyst] = OrderedDict()
_loading = Lock()


def _load(which: ModelVersion | str) -> Chosen:
    """Return the analyst, from among the last few that this process has used if it is there."""
    version = which if isinstance(which, ModelVersion) else None
    if version:
        name, title, options = version.detector, str(version), version.options
        identity = f"{version.pk} {version.sha256}"
    else:
        name = title = str(which)
        options = settings.ANALYST_OPTIONS.get(name, {})
        identity = f"{registry.find(GROUP, name)} {_digest(options)}"
    with _loading:
        if identity in _loaded:
            _loaded.move_to_end(identity)
        else:
            while len(_loaded) >= KEPT:  # before the next one is loaded: two large ones may be one too many
                _loaded.popitem(last=False)
            plugin = cast(Analyst, registry.create(GROUP, name, options))
            if version:
                guard.call(plugin, "load", store.verify(version.path, version.sha256))
            _loaded[identity] = plugin
        return Chosen(_loaded[identity], title, identity, version)


def _digest(options: Mapping[str, Any]) -> str:
    return sha256(msgspec.json.encode(options, order="deterministic")).hexdigest()
