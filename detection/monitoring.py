"""What became of versions since they went live: drift, as their newest scans saw it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from detection.models import ModelVersion, Scan

CALM = "none"


@dataclass(frozen=True, slots=True)
class Drift:
    """A version's newest scan, and how far it lies from what the version was fitted on."""

    scan: Scan

    @property
    def level(self) -> str:
        """None, some or strong (`detection.engine.drift`)."""
        return str(self.scan.drift["level"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Return what was compared, with PSI, the level of chance, and how strong it is."""
        return [{"name": name, **self.scan.drift[name]} for name in ("score", "template") if name in self.scan.drift]

    @property
    def suggests_training(self) -> bool:
        """Whether it is time to train on newer logs."""
        return self.level != CALM

    @property
    def follows(self) -> bool:
        """Whether the version can learn from the newest sequences as they are (the job `refresh`)."""
        return self.scan.version.detector == "neighbours"


def newest_drift(versions: Iterable[ModelVersion] | Q) -> list[Drift]:
    """Return the drift of the newest scan of each version (or of those a condition on scans holds for)."""
    wanted = versions if isinstance(versions, Q) else Q(version__in=list(versions))
    scans = Scan.objects.filter(wanted, shadow_of=None).exclude(drift={}).select_related("version", "dataset")
    return [Drift(scan) for scan in scans.order_by("version_id", "-id").distinct("version_id")]
