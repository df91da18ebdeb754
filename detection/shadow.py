"""The challenger: it scores what the champion scores, and only where they disagree is what it says kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext

from detection import scan, versions
from detection.aliases import CHAMPION, SHADOW
from detection.models import ModelAlias, ModelVersion, Scan, Score
from detection.scan import Findings, Scored
from detection.versions import Loaded
from duolog.plugins.registry import PluginError
from duolog.plugins.types import Context
from logs import labels
from logs.models import Dataset, Sequence
from workers.jobs import JobFailed
from workers.models import Run
from workers.store import ArtifactDamaged


@dataclass
class Challenger:
    """A version at work beside the champion, and where it disagreed so far."""

    version: ModelVersion
    loaded: Loaded
    found: Findings = field(default_factory=Findings)
    scored: int = 0
    anomalous: int = 0

    def judge(self, champion: list[Scored], ctx: Context) -> None:
        """Score what the champion has just scored; what both say the same of is only counted."""
        batch = [each.sequence for each in champion]
        own = scan.score_batch(self.loaded, batch, ctx, explain=False)
        self.scored += len(own)
        self.anomalous += sum(each.anomalous for each in own)
        apart = [mine.sequence for mine, other in zip(own, champion, strict=True) if mine.anomalous != other.anomalous]
        if apart:  # again, with blame: they are few
            for scored in scan.score_batch(self.loaded, apart, ctx):
                self.found.add(scored)

    def keep(self, champion: Scan, *, dataset: Dataset, part: str | None, run: Run) -> Scan:
        """Store the disagreements as a scan of its own, linked to the champion's."""
        return scan.keep(
            self.found, version=self.version, dataset=dataset, part=part, run=run, shadow_of=champion,
            totals=(self.scored, self.anomalous),
        )  # fmt: skip


def challenger(version: ModelVersion, ctx: Context) -> Challenger | None:
    """Return the shadow of a version's name if that version is its champion and the shadow is another one.

    A shadow that cannot be loaded is left out with a warning: the champion's work does not depend on it.
    """
    wanted = ModelAlias.objects.filter(project=version.project, name=version.name, alias__in=[CHAMPION, SHADOW])
    rows = {row.alias: row.version for row in wanted.select_related("version")}
    shadow = rows.get(SHADOW)
    if shadow is None or shadow == version or rows.get(CHAMPION) != version:
        return None
    try:
        return Challenger(shadow, versions.load(shadow))
    except (JobFailed, PluginError, ArtifactDamaged) as error:
        text = gettext("the shadow %(version)s scores nothing: %(error)s")
        ctx.log(text % {"version": shadow, "error": error}, "warning")
        return None


def record(version: ModelVersion) -> dict[str, Any]:
    """Return how a version did as a shadow: `disagreements`, how many are `judged`, `wins`, and their share.

    A sequence counts once, as the newest scan has it; it is judged by the label that counts, and won by the version
    that said the same. `low` and `high` are Wilson's 95 % interval of the win rate.
    """
    from detection.engine.calibrate import interval  # reads scipy, which a web process loads for this only

    scores = Score.objects.filter(scan__version=version, scan__shadow_of__isnull=False)
    said = dict(scores.order_by("sequence_id", "-id").distinct("sequence_id").values_list("sequence_id", "anomalous"))
    stated = labels.counting(Sequence.objects.filter(pk__in=scores.values("sequence"))).values_list("pk", "label")
    judged = {pk: bool(label) for pk, label in stated if label is not None}
    wins = sum(said[pk] == label for pk, label in judged.items())
    low, high = interval(wins, len(judged))
    return {
        "scans": Scan.objects.filter(version=version, shadow_of__isnull=False).count(),
        "disagreements": len(said),
        "judged": len(judged),
        "wins": wins,
        "win_rate": wins / len(judged) if judged else None,
        "low": low,
        "high": high,
    }
