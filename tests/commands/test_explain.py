"""Findings explained from the command line, by a worker and without one."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from explaining import opened

from analysis.models import AnomalyReport

DISK = ("INFO starts", "ERROR disk 17 is full")


@pytest.mark.django_db(transaction=True)
def test_a_worker_explains_and_programs_get_the_documents(worker: None, ask: Any) -> None:
    first, second = opened(DISK, ("INFO starts", "ERROR disk 4 is full"), project="default")
    told = ask("explain", "--finding", first.pk, second.pk, "--analyst", "echo", "--wait")
    assert (told["written"], told["copied"], told["failed"]) == (1, 1, 0)
    assert [(row["finding"], row["severity"]) for row in told["reports"]] == [(first.pk, "high"), (second.pk, "high")]
    assert told["reports"][0]["texts"]["en"]["summary"] == "ERROR in line 2"
    assert AnomalyReport.objects.get(finding=second).copy_of.finding == first
    again = ask("explain", "--finding", first.pk, "--analyst", "echo", "--wait")
    assert (again["written"], len(again["reports"])) == (0, 1)


@pytest.mark.django_db(transaction=True)
def test_without_a_worker_this_process_explains_and_people_get_to_read(settings: Any) -> None:
    settings.WORKER_ALIVE = 0
    opened(DISK, ("ERROR POISON",), ("INFO well",), project="default")
    out = io.StringIO()
    call_command("explain", "--all", "--analyst", "echo", "--language", "en", stdout=out)
    text = out.getvalue()
    assert "failed in explain: RuntimeError: I was poisoned" in text
    call_command("explain", "--all", "--analyst", "echo", "--language", "en", stdout=out)
    assert "0 reports written, 0 copied, 3 failed" in text


@pytest.mark.django_db
def test_what_is_not_there_is_told(ask: Any) -> None:
    with pytest.raises(CommandError, match="no findings 77"):
        ask("explain", "--finding", 77)
    with pytest.raises(CommandError, match="no scan 5"):
        ask("explain", "--scan", 5)
