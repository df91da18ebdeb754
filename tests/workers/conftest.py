"""Steps that the tests of runs share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.db.models.functions import Now

if TYPE_CHECKING:  # pytest reads this file before Django is set up
    from workers.context import RunContext
    from workers.models import Run


@pytest.fixture(autouse=True)
def _artifacts(tmp_path, settings) -> None:
    settings.ARTIFACTS = tmp_path


@pytest.fixture
def claim():
    """Claim a run as some worker would, and return its context."""

    from workers import leases
    from workers.context import RunContext

    def claim(run: Run) -> RunContext:
        claimed = leases.claim(run.pk, worker="test")
        assert claimed is not None
        return RunContext(claimed)

    return claim


@pytest.fixture
def expire():
    """Let the lease of a run pass, as if its worker had been silent for so long."""

    def expire(run: Run) -> None:
        apps.get_model("workers.Run").objects.filter(pk=run.pk).update(lease_until=Now() - timedelta(seconds=1))

    return expire


@pytest.fixture
def due():
    """Let the pause before the next attempt pass."""

    def due(run: Run) -> None:
        apps.get_model("workers.Run").objects.filter(pk=run.pk).update(not_before=Now())

    return due
