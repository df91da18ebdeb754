"""Runs over REST: start once, watch, cancel, repeat."""

from __future__ import annotations

import pytest

from workers.models import Run

RUNS = "/api/v1/runs/"
SPLIT = {"project": "ours", "job": "split", "options": {"dataset": "ours-logs", "seed": 3}}


def test_a_run_is_queued(api, ours):
    answer = api("engineer").post(RUNS, SPLIT)
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(f"/api/v1/runs/{answer.data['id']}/")
    run = Run.objects.get(pk=answer.data["id"])
    assert (run.status, run.project, run.options["seed"], run.created_by.username) == ("queued", "ours", 3, "engineer")


def test_the_same_idempotency_key_starts_one_run(api, ours):
    client = api("engineer")
    first = client.post(RUNS, SPLIT, headers={"Idempotency-Key": "k1"})
    second = client.post(RUNS, SPLIT, headers={"Idempotency-Key": "k1"})
    assert first.data["id"] == second.data["id"]
    assert client.post(RUNS, SPLIT, headers={"Idempotency-Key": "k2"}).data["id"] != first.data["id"]


def test_a_key_is_not_for_other_options(api, ours):
    client = api("engineer")
    client.post(RUNS, SPLIT, headers={"Idempotency-Key": "k1"})
    other = SPLIT | {"options": {"dataset": "ours-logs", "seed": 4}}
    answer = client.post(RUNS, other, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 422
    assert answer.data["type"] == "urn:duolog:problem:key_reused"


@pytest.mark.parametrize("options", [{"dataset": "x", "sed": 3}, {"dataset": "x", "seed": "many"}, {}])
def test_options_that_do_not_fit_are_named(api, ours, options):
    answer = api("engineer").post(RUNS, SPLIT | {"options": options})
    assert answer.status_code == 422
    assert any(word in str(answer.data["errors"]["options"]) for word in ("sed", "seed", "dataset"))


@pytest.mark.parametrize("job", ["import-data", "open-findings", "nonsense"])
def test_only_jobs_that_read_no_server_file_can_be_started_by_name(api, ours, job):
    answer = api("engineer").post(
        RUNS, {"project": "ours", "job": job, "options": {"path": "/etc/passwd", "dataset": "x"}}
    )
    assert answer.status_code == 400
    assert "job" in answer.data["errors"]


def test_progress_lines_and_curve(api, ours):
    client = api("viewer")
    run = client.get(f"{RUNS}{ours.run.pk}/").data
    assert (run["share"], run["stage"], run["done"], run["total"]) == (0.3, "fit", 3, 10)
    assert "a line" in client.get(f"{RUNS}{ours.run.pk}/lines/").data["results"][0]["text"]
    points = client.get(f"{RUNS}{ours.run.pk}/metrics/", {"name": "loss"}).data["results"]
    assert [point["step"] for point in points] == [0, 1, 2, 3, 4]


def test_a_run_is_cancelled_and_started_again(api, ours):
    client = api("engineer")
    queued = client.post(RUNS, SPLIT).data["id"]
    assert client.post(f"{RUNS}{queued}/cancel/").data["status"] == "cancelled"
    again = client.post(f"{RUNS}{queued}/again/").data
    assert again["id"] != queued
    assert (again["status"], again["options"]) == ("queued", Run.objects.get(pk=queued).options)
    assert client.post(f"{RUNS}{ours.run.pk}/cancel/").data["cancel_at"]


def test_filters(api, ours):
    client = api("engineer")
    client.post(RUNS, SPLIT)
    assert [run["job"] for run in client.get(RUNS).data["results"]] == ["split", "fit-detector"]
    assert [run["job"] for run in client.get(RUNS, {"status": "running"}).data["results"]] == ["fit-detector"]
    assert client.get(RUNS, {"status": "odd"}).status_code == 400
