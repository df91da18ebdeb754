"""Two tenants with one row of everything, and people of every role on the first.

Models are imported in the fixtures: pytest reads this file before Django is set up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.test import Client
    from rest_framework.test import APIClient


@pytest.fixture
def ours(db: None) -> Any:
    """The project of the people below."""
    from tenants import make_tenant

    return make_tenant("ours")


@pytest.fixture
def theirs(db: None) -> Any:
    """A project of strangers."""
    from tenants import make_tenant

    return make_tenant("theirs")


@pytest.fixture
def person(db: None) -> Callable[[str], Any]:
    """Make a user with a role on `ours`; "stranger" has none, "root" is a site admin."""

    from django.contrib.auth.models import User

    from duolog.models import Membership, Role

    def make(role: str) -> User:
        if role == "root":
            return User.objects.create_superuser("root")
        user = User.objects.create_user(role, is_staff=True)
        if role in Role.values:
            Membership.objects.create(user=user, project="ours", role=role)
        return user

    return make


@pytest.fixture
def api(person: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a REST client of somebody with this role."""

    from rest_framework.test import APIClient

    def make(role: str) -> APIClient:
        client = APIClient()
        client.force_authenticate(person(role))
        return client

    return make


@pytest.fixture
def browser(person: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a console session of somebody with this role."""

    from django.test import Client

    def make(role: str) -> Client:
        client = Client(HTTP_ACCEPT_LANGUAGE="en")
        client.force_login(person(role))
        return client

    return make


@pytest.fixture(autouse=True)
def _english(settings: Any) -> None:
    settings.LANGUAGE_CODE = "en"


@pytest.fixture(autouse=True)
def _uncounted() -> None:
    """Forget the requests of the tests before."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture
def come(db: None) -> Callable[..., Any]:
    """Return a console session of somebody new, by name, with a role on the project `mine`; `client.user` is them."""
    from django.contrib.auth.models import User
    from django.test import Client

    from duolog.models import Membership

    def make(name: str, role: str = "reviewer") -> Client:
        user = User.objects.create_user(name, is_staff=True)
        if role:
            Membership.objects.create(user=user, project="mine", role=role)
        client = Client(HTTP_ACCEPT_LANGUAGE="en")
        client.force_login(user)
        client.user = user  # type: ignore[attr-defined]
        return client

    return make
