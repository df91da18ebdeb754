"""The OpenAPI document is complete, and its pages load nothing from elsewhere."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command


def test_the_schema_is_valid_and_without_warnings(tmp_path):
    call_command(
        "spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"), stderr=io.StringIO()
    )
    assert "/api/v1/runs/{id}/cancel/" in (tmp_path / "schema.yaml").read_text()


@pytest.mark.django_db
def test_the_docs_load_nothing_from_elsewhere(client):
    page = client.get("/api/docs/").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    assert not [source for source in sources if "//" in source]


def test_the_deployment_check_asks_for_what_https_needs(settings):
    """`check --deploy` runs; its advice depends on the environment, so only errors matter here."""
    call_command("check", "--deploy", "--fail-level", "ERROR", stderr=io.StringIO())
