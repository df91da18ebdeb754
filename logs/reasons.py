"""Reasons of rows that were refused, in the language of whoever looks."""

from __future__ import annotations

from django.utils.translation import gettext

from duolog.plugins.options import OptionsError
from duolog.plugins.types import Reason, fill


def shown(reason: str) -> str:
    """Return a reason in the active language; what is no `Reason`, from somebody's plugin, stays as it is."""
    # An empty message is a catalogue's header.
    return fill(gettext(reason.message), reason.values) if isinstance(reason, Reason) and reason else reason


def of_options(error: OptionsError) -> str:
    """Return what is wrong with options, in the active language where their own check found a `Reason`."""
    cause = error.__cause__ and error.__cause__.__cause__
    reason = cause.args[0] if cause and cause.args else ""
    return shown(reason) if isinstance(reason, Reason) else str(error)
