"""What a project does not want to be told of, until when, and why."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class MuteRule(models.Model):
    """Items that match all that a rule names are muted while it holds; a rule names one thing at least.

    `template` is the number of a `logs.Template`, `expression` a pattern (`logs.engine.user_patterns`) that some line
    matches. `back_test` is what the rule would have hidden when it was made, `rate` how many findings a day it matched
    then: where far more come, what it hides is opened again. Rules end, and are never deleted.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.SlugField(_("project"))
    template = models.BigIntegerField(_("template"), null=True, blank=True)
    service = models.CharField(_("service"), max_length=200, blank=True)
    type = models.CharField(_("type"), max_length=100, blank=True)
    expression = models.TextField(_("expression"), blank=True)
    reason = models.TextField(_("reason"))
    back_test = models.JSONField(_("back-test"), default=dict)
    rate = models.FloatField(_("findings a day when it was made"), default=0.0)
    hidden = models.PositiveBigIntegerField(_("findings hidden"), default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("made by")
    )
    created_at = models.DateTimeField(_("made"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    ended_why = models.CharField(
        _("ended because"),
        max_length=10,
        blank=True,
        choices=[("expired", _("expired")), ("drift", _("drift")), ("person", _("somebody ended it"))],
    )

    class Meta:
        verbose_name = _("mute rule")
        verbose_name_plural = _("mute rules")
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "ended_at"], name="mute_living")]

    def __str__(self) -> str:
        return f"{self.reason[:60]}"
