"""Console: what a finding's page shows of its reports, and who may be asked for another one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import F, Max, Q
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from analysis import analyst
from analysis.engine.citing import Piece, pieces
from analysis.models import AnomalyReport, Finding
from detection.aliases import CHAMPION
from detection.models import ModelVersion
from duolog.plugins import registry
from duolog.plugins.registry import PluginError
from logs.labels import named
from logs.models import Project
from workers.models import Run
from workers.states import FINAL, Status

COLOURS = {"low": "info", "medium": "warning", "high": "danger", "critical": "danger", "": "success"}
"""Of severities, as unfold calls them."""
SEVERITIES = {"low": _("low"), "medium": _("medium"), "high": _("high"), "critical": _("critical")}
FIELDS = {
    "evidence": _("evidence"),
    "summary": _("summary"),
    "root_cause": _("root cause"),
    "recommendations": _("recommendations"),
}
TONGUES = {"zh": "中文", "en": "English"}
OLDER, VERSIONS = 10, 10
"""Older reports that are listed; versions of a project's own analysts that are offered."""


@dataclass(frozen=True, slots=True)
class Told:
    """A report as the page shows it, in one language, cut into pieces that link to lines."""

    row: AnomalyReport
    language: str
    summary: list[Piece]
    root_cause: list[Piece]
    advice: list[list[Piece]]
    struck: list[tuple[str, str]]

    @property
    def others(self) -> list[tuple[str, str]]:
        """The languages that it is told in, too, with their names."""
        return [(one, TONGUES.get(one, one)) for one in self.row.texts if one != self.language]

    @property
    def severity(self) -> str:
        """The severity in the language of whoever looks."""
        return str(SEVERITIES.get(self.row.severity, self.row.severity))


def told(row: AnomalyReport, language: str) -> Told:
    """Return a report in a language (zh, en), or in another one that it is told in."""
    language = language if language in row.texts or not row.texts else next(iter(row.texts))
    text = row.texts.get(language, {})
    cited: dict[str, dict[tuple[str, str], int]] = defaultdict(dict)
    struck: dict[tuple[str, str], None] = {}
    for claim in row.claims:
        if claim["language"] not in ("", language):
            continue
        if not claim["found"]:
            struck[str(FIELDS.get(claim["field"], claim["field"])), claim["text"]] = None
        elif claim["lines"]:
            cited[claim["field"]].setdefault((claim["kind"], claim["text"]), claim["lines"][0])
    return Told(
        row,
        language,
        pieces(text.get("summary", ""), cited["summary"]),
        pieces(text.get("root_cause", ""), cited["root_cause"]),
        [pieces(one, cited["recommendations"]) for one in text.get("recommendations", [])],
        list(struck),
    )


def kind(row: AnomalyReport) -> str:
    """Return category and type of a report in the language of whoever looks; "" of a normal sequence."""
    return " · ".join(named(one) for one in (row.category, row.type) if one)


def panel(finding: Finding, language: str = "") -> dict[str, Any]:
    """Return what the panel of a finding's reports shows; `mark` differs whenever any of that does."""
    language = language if language in TONGUES else (get_language() or "en")[:2]
    known = AnomalyReport.objects.filter(finding=finding).select_related("version", "run").order_by("-id")
    rows = list(known[: OLDER + 2])
    ended = [row for row in rows if row.state != AnomalyReport.State.WRITING]
    done = [row for row in ended if row.state == AnomalyReport.State.DONE]
    writing = (row for row in rows if row.state == AnomalyReport.State.WRITING)
    draft = next((row for row in writing if row.run and Status(row.run.status) not in FINAL), None)
    run = draft.run if draft else _run(finding)
    busy = run is not None and Status(run.status) not in FINAL
    error = "" if busy else _error(ended, run)
    mark = f"{ended[0].pk if ended else 0}-{run.pk if run else 0}-{busy}-{draft.pk if draft else 0}"
    return {
        "report": told(done[0], language) if done else None,
        "older": [row for row in done[1:] if row.texts],  # a verdict alone came before the text that tells it
        "draft": draft,
        "busy": busy,
        "writer": run,
        "error": error,
        "language": language,
        "analysts": [] if busy else analysts(finding.project),
        "mark": f"{mark}-{len(draft.draft) if draft else 0}",
    }


def _run(finding: Finding) -> Run | None:
    """Return the newest run that was asked to explain this very finding."""
    asked = Run.objects.filter(project=finding.project, job="explain", options__contains={"findings": [finding.pk]})
    return asked.order_by("-created_at").first()


def _error(ended: list[AnomalyReport], run: Run | None) -> str:
    """Return why there is no newer report: the last one failed, or the run that was to write it did."""
    if ended and ended[0].state == AnomalyReport.State.FAILED:
        return ended[0].error or gettext("no reason was given")
    if run and run.status == Status.FAILED and (not ended or ended[0].created_at < run.created_at):
        return run.error
    return ""


def analysts(project: str) -> list[tuple[str, str]]:
    """Return what may be asked for (`analyst.choose`) and how it is called, the usual one first.

    Those that whoever runs Duolog has set up, the rules, and the project's own versions; of all these, none that would
    send lines away from a project that forbids it.
    """
    own = ModelVersion.objects.filter(project=project, kind=ModelVersion.Kind.ANALYST)
    leading = Max("aliases__set_at", filter=Q(aliases__alias=CHAMPION))
    versions = list(own.annotate(since=leading).order_by(F("since").desc(nulls_last=True), "-pk")[:VERSIONS])
    usual = [settings.ANALYST] if settings.ANALYST else [_ref(each) for each in versions[:1] if each.since]
    names = dict.fromkeys([*usual, analyst.RULES, *settings.ANALYST_OPTIONS, *map(_ref, versions)])
    sends = Project.objects.filter(slug=project, remote_analysts=True).exists()
    return [(name, name) for name in names if sends or not _is_remote(name)]


def _ref(version: ModelVersion) -> str:
    return f"{version.name}:{version.number}"


def _is_remote(name: str) -> bool:
    try:
        return bool(getattr(registry.get(analyst.GROUP, name), "remote", False))
    except PluginError:  # a version, or a plugin that is not here but may be on the worker
        return False
