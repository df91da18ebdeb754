"""Who may do what on which project: memberships and hashed API tokens (see duolog/access.py)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a member may do; each role may also do what those before it may."""

    VIEWER = "viewer", _("viewer")
    REVIEWER = "reviewer", _("reviewer")
    ENGINEER = "engineer", _("engineer")
    OWNER = "owner", _("owner")


class Membership(models.Model):
    """A user's role on a project, by the project's slug."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    project = models.SlugField(_("project"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "project"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} {self.role} {self.project}"


class ApiToken(models.Model):
    """A bearer token of a user; only its SHA-256 is stored, and it is shown once.

    One with a `project` is for shippers: it sends lines into that project (to the `source` that it names) and may do
    nothing else, whatever its user may.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=100)
    sha256 = models.CharField(_("SHA-256"), max_length=64, unique=True)
    project = models.SlugField(_("sends lines to project"), blank=True)
    source = models.SlugField(_("source of lines"), blank=True)
    lines_per_second = models.PositiveIntegerField(_("lines a second at most"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return self.name
