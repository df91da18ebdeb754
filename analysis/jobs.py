"""Jobs of this app; see workers.jobs for how one is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis import findings
from workers.context import RunContext
from workers.jobs import Finish, Job, job


@dataclass(frozen=True)
class FindingOptions:
    """The scan whose anomalous scores become findings."""

    scan: int


@job("open-findings", follows="scan")
class OpenFindings(Job[FindingOptions]):
    """Put the anomalous sequences of a finished scan before people."""

    def run(self, options: FindingOptions, ctx: RunContext) -> Finish:
        """All the work is one statement, so it stands in the fenced transaction."""
        return lambda: {"scan": options.scan, "findings": findings.open_for(options.scan)}

    def follow(self, result: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Take up a scan that found something."""
        return {"scan": result["scan"]} if result["anomalous"] else None
