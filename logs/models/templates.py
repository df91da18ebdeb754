"""Templates of lines, and what people decided about them."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from logs.models.datasets import Project

TITLE = 160
"""Characters of a template where it is only named."""


class Template(models.Model):
    """What many lines of a project say, with `<*>` for each variable; found by `logs.engine.templates`.

    `number` is what stored lines keep; it never changes and never means another template. `pattern` is as mined from
    the `examples` (masked lines), `fixed` is the text that a person gave instead. `lines` counts those that got this
    number, and lags behind by some seconds.
    """

    id = models.BigAutoField(primary_key=True)
    project = models.ForeignKey(Project, models.CASCADE, related_name="templates", verbose_name=_("project"))
    number = models.BigIntegerField(_("number"))
    pattern = models.TextField(_("mined pattern"), blank=True)
    fixed = models.TextField(_("edited pattern"), null=True, blank=True)  # noqa: DJ001 - None: nobody edited it
    examples = ArrayField(models.TextField(), default=list, verbose_name=_("masked lines"))
    # Always what is not merged itself: `logs.templates` keeps it so, and a reader follows it once.
    merged_into = models.ForeignKey(
        "self", models.RESTRICT, null=True, blank=True, related_name="merged", verbose_name=_("merged into")
    )
    lines = models.BigIntegerField(_("lines"), default=0)
    first_seen_at = models.DateTimeField(_("first seen"), db_default=Now())
    last_seen_at = models.DateTimeField(_("last seen"), db_default=Now())
    changed_at = models.DateTimeField(_("changed"))
    edited_at = models.DateTimeField(_("edited"), null=True, blank=True)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("edited by")
    )

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="template_number")]
        indexes = [
            models.Index(fields=["project", "changed_at"], name="template_changed"),
            models.Index(fields=["project", "-lines"], condition=Q(merged_into=None), name="template_most"),
        ]

    def __str__(self) -> str:
        return self.text[:TITLE] or "-"

    @property
    def text(self) -> str:
        """The pattern that counts."""
        return self.pattern if self.fixed is None else self.fixed


class TemplateChange(models.Model):
    """A person changed a template: what it was before and after, who and when. Rows are added, never changed."""

    class Action(models.TextChoices):
        """What can be done with a template."""

        EDIT = "edit", _("edit")
        MERGE = "merge", _("merge")
        SPLIT = "split", _("split")

    id = models.BigAutoField(primary_key=True)
    template = models.ForeignKey(Template, models.CASCADE, related_name="changes", verbose_name=_("template"))
    action = models.CharField(_("action"), max_length=10, choices=Action.choices)
    before = models.TextField(_("before"))
    after = models.TextField(_("after"))
    set_at = models.DateTimeField(_("set"), db_default=Now())
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, verbose_name=_("set by")
    )

    class Meta:
        verbose_name = _("change of a template")
        verbose_name_plural = _("changes of templates")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.template}: {self.get_action_display()}"
