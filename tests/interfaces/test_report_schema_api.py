"""The schema of reports can be fetched by anybody who reads reports, without a token."""

from __future__ import annotations

from jsonschema import Draft202012Validator


def test_anybody_may_read_the_schema_of_reports(client):
    answer = client.get("/api/v1/schemas/report/")
    assert answer["Content-Type"] == "application/schema+json"
    Draft202012Validator.check_schema(answer.json())
    assert answer.json()["properties"]["version"] == {"const": 1}


def test_an_unknown_schema_is_a_problem_document(client):
    answer = client.get("/api/v1/schemas/weather/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
