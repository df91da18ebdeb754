"""Whatever is asked of the REST API, no answer says that we broke."""

from __future__ import annotations

import os
from typing import Any

import pytest
import schemathesis
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from schemathesis import GenerationMode

from duolog import access
from logs import receive

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

COUNT = int(os.environ.get("DUOLOG_FUZZ", "300"))


def test_no_request_breaks_the_api(settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_CLASSES": []}
    admin = User.objects.create_superuser("root")
    receive.source("default", "web")
    token = access.issue_token(user=admin, name="fuzz")
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    operations = [found.ok() for found in schema.get_all_operations()]
    told: set[int] = set()
    for operation in operations:
        ask(operation, token, told)
    assert 200 in told and told & {400, 404, 422}


def ask(operation: Any, token: str, told: set[int]) -> None:
    """Send what the schema allows, and what it forbids."""

    @examples(
        max_examples=max(2, COUNT // 60), deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
    def send(case: Any) -> None:
        answer = case.call(headers={"Authorization": f"Bearer {token}"})
        told.add(answer.status_code)
        assert answer.status_code < 500, (operation.label, case.body, answer.text)

    send()
