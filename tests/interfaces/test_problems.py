"""Every error below /api/ is a problem document (RFC 9457)."""

from __future__ import annotations

import pytest
from rest_framework.exceptions import Throttled
from rest_framework.test import APIRequestFactory

from duolog.api import problem
from workers.jobs import JobFailed

KEYS = {"type", "title", "status", "detail", "instance"}


def check(response, status: int) -> dict:
    """Assert the shape, and return the document."""
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document.keys() >= KEYS
    assert document["status"] == status
    assert document["type"].startswith("urn:duolog:problem:")
    assert document["detail"]
    return document


def test_errors_of_a_request(api, ours):
    client = api("engineer")
    broken = client.post("/api/v1/runs/", "{", content_type="application/json")
    assert check(broken, 400)["type"].endswith("parse_error")
    assert check(client.post("/api/v1/runs/", {}), 400)["errors"].keys() == {"job"}
    check(client.post("/api/v1/runs/", "a", content_type="text/plain"), 415)
    check(client.put("/api/v1/runs/", {}), 405)
    check(client.get("/api/v1/findings/", {"cursor": "x"}), 404)
    assert check(client.get("/api/v1/runs/?status=odd"), 400)["errors"].keys() == {"status"}


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nonsense/", "/api/v1/runs/1/", "/api/v1/findings/99999999999999999999/", "/api/nonsense", "/api/v1/"],
)
def test_what_is_not_there(api, ours, path):
    assert check(api("viewer").get(path), 404)["instance"] == path


@pytest.mark.django_db(transaction=True)
def test_a_value_that_no_field_foresaw(api, ours):
    client = api("engineer")
    wanted = {"project": "ours", "job": "split", "options": {"dataset": "a\0b"}}
    check(client.post("/api/v1/runs/", wanted), 400)
    wanted["options"] = {"dataset": "x"}
    check(client.post("/api/v1/runs/", wanted, headers={"Idempotency-Key": "k" * 300}), 400)
    assert client.get("/api/v1/findings/?score__scan=99999999999999999999").status_code in (200, 400)


def test_who_may_not(api, ours):
    check(api("viewer").post(f"/api/v1/runs/{ours.run.pk}/cancel/"), 403)


def test_other_exceptions_of_a_view():
    context = {"request": APIRequestFactory().get("/api/x")}
    slow = problem(Throttled(wait=7), context)
    assert (slow.status_code, slow.headers["Retry-After"], slow.data["status"]) == (429, "7", 429)
    failed = problem(JobFailed("no such dataset"), context)
    assert (failed.status_code, failed.data["detail"]) == (400, "no such dataset")
    assert problem(ZeroDivisionError(), context) is None


def test_a_failure_tells_nothing_about_the_inside(client, settings, monkeypatch):
    def fail(*_args):
        raise RuntimeError("secret")

    client.raise_request_exception = False
    monkeypatch.setattr("duolog.rest.TokenAuthentication.authenticate", fail)
    document = check(client.get("/api/v1/runs/"), 500)
    assert "secret" not in str(document)


def test_a_page_that_is_not_there_is_html(client):
    assert client.get("/nonsense").headers["Content-Type"].startswith("text/html")
