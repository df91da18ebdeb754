"""Who may do what on which project, and what a token is worth."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.http import Http404
from django.utils import timezone
from rest_framework.test import APIClient

from duolog import access
from duolog.models import ApiToken, Role
from workers.models import Run

ROLES = list(Role)


@pytest.mark.parametrize("held", ROLES)
@pytest.mark.parametrize("needed", ROLES)
def test_a_role_includes_those_before_it(person, held, needed):
    user = person(held)
    assert access.may(user, needed, "ours") == (ROLES.index(held) >= ROLES.index(needed))
    assert access.may_anywhere(user, needed) == (ROLES.index(held) >= ROLES.index(needed))


def test_a_stranger_gets_404_and_a_low_role_403(person):
    with pytest.raises(Http404):
        access.require(person("stranger"), Role.VIEWER, "ours")
    with pytest.raises(PermissionDenied, match="engineer"):
        access.require(person("viewer"), Role.ENGINEER, "ours")
    access.require(person("root"), Role.OWNER, "any")


def test_rows_of_other_projects_are_not_there(person, ours, theirs):
    assert list(access.visible(person("viewer"), Run.objects.all())) == [ours.run]
    assert access.visible(person("root"), Run.objects.all()).count() == 2
    assert not access.visible(person("stranger"), Run.objects.all())


def test_an_inactive_user_may_nothing(person, ours):
    root = person("root")
    root.is_active = False
    root.save()
    assert not access.may(root, Role.VIEWER, "ours")
    assert not access.may_anywhere(root, Role.VIEWER)
    assert not access.visible(root, Run.objects.all())


def test_a_token_is_kept_as_a_hash_only(person):
    text = access.issue_token(user=person("viewer"), name="ci")
    token = ApiToken.objects.get()
    assert text.startswith("duo_") and len(text) > 40
    assert text not in {str(value) for value in vars(token).values()}
    assert access.find_token(text) == token
    assert access.find_token(text + "x") is None


def test_an_expired_token_is_no_token(person):
    soon = timezone.now() + timedelta(hours=1)
    text = access.issue_token(user=person("viewer"), name="ci", expires_at=soon)
    assert access.find_token(text)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert access.find_token(text) is None


def test_a_token_dies_with_its_user(person):
    user = person("viewer")
    text = access.issue_token(user=user, name="ci")
    user.is_active = False
    user.save()
    assert access.find_token(text) is None


def test_the_last_use_is_written_at_most_once_a_minute(person):
    text = access.issue_token(user=person("viewer"), name="ci")
    access.find_token(text)
    first = ApiToken.objects.get().used_at
    assert first is not None
    access.find_token(text)
    assert ApiToken.objects.get().used_at == first
    ApiToken.objects.update(used_at=first - timedelta(minutes=2))
    access.find_token(text)
    assert ApiToken.objects.get().used_at >= first


def test_a_token_of_the_command_line_opens_the_api(person, ours, capsys):
    person("viewer")
    call_command("token", "viewer")
    text = capsys.readouterr().out.strip()
    client = APIClient()
    assert client.get("/api/v1/runs/", headers={"authorization": f"Bearer {text}"}).data["results"]
    refused = client.get("/api/v1/runs/", headers={"authorization": f"Bearer {text}x"})
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
