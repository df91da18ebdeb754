"""Form fields made of the options of a plugin: what its dataclass declares is what people fill in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from logs import reasons

LONGEST = 2000
CHOICES = {"": _("as the site is set"), "zh": "中文", "en": "English"}
"""What the values of a choice are called; others are called what they are."""
NUMBERS: dict[type, type[forms.IntegerField]] = {int: forms.IntegerField, float: forms.FloatField}


def fields(options: type, *, kept: Iterable[str] = ()) -> dict[str, forms.Field]:
    """Return a form field for each option of a dataclass, by its name.

    Of the secrets those in `kept` are there already: they may stay empty, and are shown in no case.
    """
    hints = get_type_hints(options)
    return {field.name: _field(field, hints[field.name], field.name in kept) for field in dataclasses.fields(options)}


def _field(field: dataclasses.Field[Any], kind: Any, kept: bool) -> forms.Field:
    default = None if field.default is dataclasses.MISSING else field.default
    told: dict[str, Any] = {
        "label": reasons.shown(field.metadata.get("label", field.name)),
        "help_text": reasons.shown(field.metadata.get("hint", "")),
        "required": field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        "initial": ", ".join(default) if isinstance(default, tuple) else default,
    }
    off = {"autocomplete": "off", "spellcheck": "false"}
    if field.metadata.get("secret"):
        if kept:
            told["help_text"] = _("It is set. Empty: it stays what it is.")
        told["required"] = told["required"] and not kept
        widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        return forms.CharField(max_length=LONGEST, widget=widget, **told)
    if get_origin(kind) is Literal:
        choices = [(value, CHOICES.get(value, value)) for value in get_args(kind)]
        return forms.ChoiceField(choices=choices, widget=UnfoldAdminSelectWidget(), **told | {"required": False})
    if kind is bool:
        return forms.BooleanField(widget=UnfoldBooleanWidget(), **told | {"required": False})
    if kind in NUMBERS:
        step = {"step": 1 if kind is int else "any"}
        return NUMBERS[kind](widget=UnfoldAdminIntegerFieldWidget(attrs=step), **told)
    return forms.CharField(max_length=LONGEST, widget=UnfoldAdminTextInputWidget(attrs=off), **told)
