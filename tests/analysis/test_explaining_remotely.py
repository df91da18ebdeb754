"""A finding explained by a large model on a server: what goes over the wire, and what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chat_server import says, serving
from explaining import explain, opened, report

from analysis import usage
from logs.engine import taxonomy
from logs.models import Project

pytestmark = pytest.mark.django_db


def test_secrets_stay_at_home_and_what_it_took_is_kept(asked: list[Any], settings: Any) -> None:
    kind = next(iter(taxonomy.types()))
    words = {"summary": "It is full.", "root_cause": "Line 2.", "recommendations": ["Look at it."]}
    answer = {
        "type": kind, "category": "系统", "severity": "high", "confidence": 90,
        "evidence": [{"line": 2, "quote": "disk is full"}],
        **{f"{name}_{language}": value for name, value in words.items() for language in ("zh", "en")},
    }  # fmt: skip
    (finding,) = opened(("login of zhang@example.com password=hunter2", "ERROR disk is full"))
    Project.objects.filter(slug="mine").update(remote_analysts=True)
    with serving(says(json.dumps(answer, ensure_ascii=False), tokens=(1000, 200))) as chat:
        settings.ANALYST_OPTIONS = {"http": {"base_url": chat.url, "model": "tiny", "price_in": 2, "price_out": 10}}
        run = explain(finding, analyst="http")
    assert run.result == {"written": 1, "copied": 0, "failed": 0}, report(finding).error
    sent = str(chat.seen)
    assert "disk is full" in sent
    assert "hunter2" not in sent and "zhang@" not in sent
    row = report(finding)
    assert (row.type, row.severity, row.model, row.grounded) == (kind, "high", "tiny-1", 1.0)
    assert row.evidence == [{"line": 2, "quote": "disk is full"}]
    assert usage.spent(project="mine") == pytest.approx(0.004)
