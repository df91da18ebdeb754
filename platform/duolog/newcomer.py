"""What a fresh database needs before a person can use it: a project and somebody to log in as."""

from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model
from django.utils.translation import gettext

from logs.models import Project

ADMIN = "admin"
PROJECT = "default"


def ensure_admin() -> list[str]:
    """Create a superuser where there is none, and return what to tell the person: the password is shown only now.

    Where there is no project either, one is made: every form of the console asks for one.
    """
    if not Project.objects.exists():
        Project.objects.create(slug=PROJECT, name=PROJECT)
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return []
    password = secrets.token_urlsafe(12)
    users.create_superuser(ADMIN, password=password)
    shown_once = gettext(
        "Admin user %(name)s, password %(password)s (shown only this once; change it after logging in)"
    )
    return [shown_once % {"name": ADMIN, "password": password}]
