"""What a project does not want to be told of, until when, and why."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class MuteRule(models.Model):
    """Items that match all that a rule names are muted while it holds; a rule names one thing at least.

    A `template` is of some line, and what is merged into it later is of it, too; an `expression` is a pattern
    (`logs.engine.user_patterns`) that some line matches. `back_test` is what the rule would have hidden when it was
    made (`analysis.backtest`), `rate` how many findings a day: where far more come, what it hides is opened again.
    Rules end, and are never deleted.
    """

    class Why(models.TextChoices):
        """Why a rule no longer holds."""

        EXPIRED = "expired", _("expired")
        DRIFT = "drift", _("drift")
        PERSON = "person", _("somebody ended it")

    id = models.BigAutoField(primary_key=True)
    project = models.SlugField(_("project"))
    template = models.ForeignKey(
        "logs.Template", models.CASCADE, null=True, blank=True, related_name="mute_rules", verbose_name=_("template")
    )
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
    ended_why = models.CharField(_("ended because"), max_length=10, blank=True, choices=Why.choices)

    class Meta:
        verbose_name = _("mute rule")
        verbose_name_plural = _("mute rules")
        ordering = ["-id"]
        indexes = [models.Index(fields=["project", "ended_at"], name="mute_living")]
        constraints = [
            models.CheckConstraint(
                condition=Q(template__isnull=False) | ~Q(service="", type="", expression=""),
                name="mute_names_something",
            )
        ]

    def __str__(self) -> str:
        return self.reason[:60]


class MuteDay(models.Model):
    """What a rule hid of the findings of a day (UTC): how many, and the sum of their scores and of the squares."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(MuteRule, models.CASCADE, related_name="days", db_index=False)
    day = models.DateField()
    findings = models.PositiveBigIntegerField()
    score = models.FloatField()
    squares = models.FloatField()

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["rule", "day"], name="mute_day")]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.day}"
