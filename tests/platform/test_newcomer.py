"""A fresh database is ready for somebody to log in and begin."""

from __future__ import annotations

import pytest

from duolog.newcomer import ensure_admin
from logs.models import Project


@pytest.mark.django_db
def test_a_fresh_database_gets_an_admin_and_a_project_once() -> None:
    assert "admin" in ensure_admin()[0]
    assert Project.objects.get().slug == "default"
    assert ensure_admin() == []
    assert Project.objects.count() == 1
