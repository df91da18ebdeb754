"""Who asks too much is told to wait, and for how long; others are not made to wait for them."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient
from rest_framework.throttling import SimpleRateThrottle

from duolog import access


@pytest.fixture(autouse=True)
def _rates(monkeypatch):
    monkeypatch.setattr(SimpleRateThrottle, "THROTTLE_RATES", {"anon": "2/min", "user": "3/min"})


def statuses(client, times: int, url: str = "/api/v1/runs/", **headers: str) -> list[int]:
    return [client.get(url, headers=headers).status_code for _ in range(times)]


def refused(response) -> None:
    assert response.status_code == 429
    assert response.headers["Content-Type"] == "application/problem+json"
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert response.json()["type"] == "urn:duolog:problem:throttled"
    assert response.json()["detail"]


def test_a_token_is_limited_as_its_user_and_by_itself(ours, person):
    tokens = [access.issue_token(user=person(role), name="t") for role in ("viewer", "reviewer")]
    first, second = ({"authorization": f"Bearer {token}"} for token in tokens)
    client = APIClient()
    assert statuses(client, 3, **first) == [200] * 3
    refused(client.get("/api/v1/findings/", headers=first))
    assert statuses(client, 3, **second) == [200] * 3


@pytest.mark.parametrize("token", ["", "Bearer wrong"])
def test_strangers_are_limited_by_address_whatever_they_claim(ours, token):
    client = APIClient()
    assert statuses(client, 2, **{"authorization": token}) == [401] * 2
    refused(client.get("/api/v1/runs/", headers={"authorization": token, "x-forwarded-for": "10.1.1.1"}))
    assert client.get("/api/v1/runs/", REMOTE_ADDR="10.2.2.2").status_code == 401


def test_the_schema_is_limited_too(ours):
    client = APIClient()
    assert statuses(client, 2, "/api/schema/") == [200] * 2
    refused(client.get("/api/schema/"))
