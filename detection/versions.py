"""Model versions: propose, choose the threshold anew, resolve a reference, load for scoring."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext

from detection import line_vectors, promotion
from detection.aliases import CHAMPION, lock, point
from detection.models import ModelAlias, ModelVersion, ThresholdChange
from detection.thresholds import Chosen
from duolog.plugins import guard, registry
from duolog.plugins.points import Detector
from duolog.plugins.types import LineVectors
from workers import store
from workers.jobs import JobFailed
from workers.models import Artifact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from duolog.plugins.types import Context, LogSequence
    from workers.models import Run

DETECTOR, ANALYST = ModelVersion.Kind.DETECTOR, ModelVersion.Kind.ANALYST
GROUP = "duolog.detectors"
GROUPS = {DETECTOR: GROUP, ANALYST: "duolog.analysts"}
KEPT = 4  # loaded detectors a process keeps
REF = re.compile(r"(?P<name>[-\w]+)(?:@(?P<alias>[-\w]+)|:(?P<number>\d+))?")


class VersionError(JobFailed):
    """A model version is not there, or cannot be used here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A detector or an analyst after `fit`, ready to become a version; `metrics` may hold the `plots` of each part.

    Of an analyst `detector` names its plugin, as in `ModelVersion`.
    """

    name: str
    detector: str
    options: Mapping[str, Any]
    encoder: str
    encoder_digest: str
    threshold: float
    metrics: Mapping[str, Any]
    lineage: Mapping[str, Any]
    artifact: Artifact
    temperature: float = 1.0
    policy: Mapping[str, Any] = field(default_factory=dict)
    reference: Mapping[str, Any] = field(default_factory=dict)
    kind: ModelVersion.Kind = DETECTOR


@dataclass(frozen=True, slots=True)
class Loaded:
    """What scoring needs: a fitted detector, the vectors it reads, and the score from which on it calls an alarm."""

    detector: Detector
    vectors: LineVectors
    threshold: float
    temperature: float = 1.0

    def score(self, sequences: list[LogSequence], ctx: Context) -> NDArray[np.float64]:
        """Return one calibrated score a sequence, in order."""
        from detection.engine import calibrate  # reads scipy, which a web process need not load

        return calibrate.temper(guard.score(self.detector, sequences, self.vectors, ctx), self.temperature)


def propose(fitted: Fitted, *, project: str) -> ModelVersion:
    """Store what was fitted as the next version of its name; the first one becomes champion if nothing is against it.

    Called in the fenced transaction of the run that fitted it. Raises VersionError as `require_name` does.
    """
    entry = registry.find(GROUPS[fitted.kind], fitted.detector)
    with transaction.atomic():
        lock(project, fitted.name)
        require_name(project=project, name=fitted.name, kind=fitted.kind)
        versions = ModelVersion.objects.filter(project=project, name=fitted.name)
        version = ModelVersion.objects.create(
            project=project,
            kind=fitted.kind,
            name=fitted.name,
            number=(versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            detector=fitted.detector,
            distribution=entry.distribution,
            distribution_version=entry.version,
            options=dict(fitted.options),
            encoder=fitted.encoder,
            encoder_digest=fitted.encoder_digest,
            temperature=fitted.temperature,
            threshold=fitted.threshold,
            policy=dict(fitted.policy),
            metrics={part: figures(found) for part, found in fitted.metrics.items()},
            plots={part: found["plots"] for part, found in fitted.metrics.items() if "plots" in found},
            reference=dict(fitted.reference),
            lineage=dict(fitted.lineage),
            path=fitted.artifact.path,
            sha256=fitted.artifact.sha256,
            run=fitted.artifact.run,
        )
        crown_first(version)
    return version


def crown_first(version: ModelVersion) -> bool:
    """Make the first version of a name its champion if there is none and nothing speaks against it; say if it did."""
    crowned = ModelAlias.objects.filter(project=version.project, name=version.name, alias=CHAMPION).exists()
    if version.number > 1 or crowned or promotion.problems(version):
        return False
    point(version, CHAMPION, reason=gettext("the first version"))
    return True


def require_name(*, project: str, name: str, kind: ModelVersion.Kind) -> None:
    """Raise VersionError if versions of another kind have this name: aliases and references go by name."""
    if other := ModelVersion.objects.filter(project=project, name=name).exclude(kind=kind).first():
        text = gettext("%(name)s is the name of a model of the kind %(kind)s; choose another one")
        raise VersionError(text % {"name": name, "kind": other.get_kind_display()})


def figures(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an evaluation found without the arrays behind its plots."""
    return {name: value for name, value in metrics.items() if name != "plots"}


def measured(version: ModelVersion, part: str, metrics: Mapping[str, Any]) -> None:
    """Keep what an evaluation on a part found, figures and `plots`, beside those on other parts."""
    with transaction.atomic():
        # The race: two evaluations of one version end at once. The second waits for the row and adds to it.
        row = ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
        row.metrics[part] = figures(metrics)
        if "plots" in metrics:  # those of an analyst are tables
            row.plots[part] = metrics["plots"]
        row.save(update_fields=["metrics", "plots"])


def learned(version: ModelVersion, dataset: str, curve: Mapping[str, Any]) -> None:
    """Keep what training on few labels of a dataset reaches, beside the same of other datasets."""
    with transaction.atomic():
        row = ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)  # the race is that of `measured`
        row.learning[dataset] = dict(curve)
        row.save(update_fields=["learning"])


def rethreshold(version: ModelVersion, chosen: Chosen, *, reason: str, run: Run) -> ThresholdChange:
    """Give a version another threshold, and record how, by whom and why; the fitted detector stays as it is."""
    with transaction.atomic():
        row = ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)
        change = ThresholdChange.objects.create(
            version=row,
            before=row.threshold,
            threshold=chosen.threshold,
            policy=chosen.as_json(),
            reason=reason,
            run=run,
            set_by=run.created_by,
        )
        row.threshold, row.policy = chosen.threshold, chosen.as_json()
        row.save(update_fields=["threshold", "policy"])
    return change


def resolve(*, project: str, ref: str = "", kind: ModelVersion.Kind | None = DETECTOR) -> ModelVersion:
    """Return the version of a kind (None: of any) that `name@alias`, `name:number` or a bare `name` means.

    A bare name is its champion, or else its newest version; no name at all is the project's champion that was set last.
    Raises VersionError, whose message tells which versions there are, or that this one is of another kind.
    """
    mine = ModelVersion.objects.filter(project=project)
    mine = mine.filter(kind=kind) if kind else mine
    if not ref:
        champions = ModelAlias.objects.filter(alias=CHAMPION, version__in=mine).select_related("version")
        if champion := champions.order_by("-set_at").first():
            return champion.version
        if kind == ANALYST:
            raise VersionError(gettext("no analyst is the champion yet; `duolog finetune --dataset NAME` makes one"))
        raise VersionError(gettext("no model has been trained yet; `duolog train --dataset NAME` trains one"))
    if not (parts := REF.fullmatch(ref)):
        raise VersionError(gettext("%(ref)r is no model; write name, name:version or name@alias") % {"ref": ref})
    versions = mine.filter(name=parts["name"])
    if parts["number"]:
        found = versions.filter(number=parts["number"]).first()
    else:
        found = versions.filter(aliases__alias=parts["alias"] or CHAMPION).first()
        if not found and not parts["alias"]:
            found = versions.order_by("-number").first()
    if found is None:
        raise VersionError(_unknown(project, ref, parts["name"], kind))
    return found


def create(name: str, options: Mapping[str, Any]) -> Detector:
    """Return an unfitted detector; raise PluginUnavailable, PluginError or OptionsError."""
    return cast(Detector, registry.create(GROUP, name, options))


_loaded: OrderedDict[int, Loaded] = OrderedDict()
_loading = Lock()


def load(version: ModelVersion) -> Loaded:
    """Return the version ready to score; a process keeps the last few, so a long-lived worker loads each once.

    Raises VersionError if the detector or the encoder is not the one that was trained, ArtifactDamaged if its files
    are not those that were stored.
    """
    with _loading:
        if loaded := _loaded.get(version.pk):
            _loaded.move_to_end(version.pk)
            if loaded.threshold != version.threshold:  # chosen anew since
                loaded = _loaded[version.pk] = replace(loaded, threshold=version.threshold)
            return loaded
        loaded = _loaded[version.pk] = _load(version)
        while len(_loaded) > KEPT:
            _loaded.popitem(last=False)
        return loaded


def _load(version: ModelVersion) -> Loaded:
    folder = store.verify(version.path, version.sha256)
    vectors = line_vectors.store(version.encoder)
    if vectors.digest != version.encoder_digest:
        message = gettext(
            "%(version)s was trained with other weights of the encoder %(encoder)s (%(then)s…, here %(now)s…): "
            "restore them, or train again"
        )
        names = {"then": version.encoder_digest[:12], "now": vectors.digest[:12]}
        raise VersionError(message % {"version": version, "encoder": version.encoder, **names})
    detector = create(version.detector, version.options)
    guard.call(detector, "load", folder)
    return Loaded(detector, vectors, version.threshold, version.temperature)


def _unknown(project: str, ref: str, name: str, kind: ModelVersion.Kind | None) -> str:
    every = ModelVersion.objects.filter(project=project)
    versions = every.filter(kind=kind) if kind else every
    if kind and (other := every.filter(name=name).exclude(kind=kind).first()):
        text = gettext("%(ref)s is a model of the kind %(found)s, and one of the kind %(kind)s is needed here")
        return text % {"ref": ref, "found": other.get_kind_display(), "kind": kind.label}
    near = versions.filter(name=name) if versions.filter(name=name).exists() else versions
    known = ", ".join(map(str, near[:10])) or gettext("none yet")
    return gettext("there is no model %(ref)s; known: %(known)s") % {"ref": ref, "known": known}
