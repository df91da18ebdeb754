"""Forms of the console for alerts: a channel by the options of its notifier, and a route of it."""

from __future__ import annotations

from datetime import time
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from analysis import channels, option_forms
from analysis.models import Channel, Route
from analysis.models.alerts import SEVERITIES, check_zone

PREFIX = "option-"
DAYS = [(str(day + 1), WEEKDAYS[day]) for day in range(7)]


class Clock(UnfoldAdminTextInputWidget):
    """A time of the day, as browsers ask for it."""

    input_type = "time"


class ChannelForm(forms.Form):
    """A channel of a notifier with these options; `channel` is the one that is there already."""

    button = _("Save")

    name = forms.SlugField(
        label=_("Name"), max_length=50, widget=UnfoldAdminTextInputWidget(),
        help_text=_("Such as oncall: letters, digits, - and _."),
    )  # fmt: skip
    enabled = forms.BooleanField(
        label=_("Switched on"), required=False, initial=True, widget=UnfoldBooleanWidget(),
        help_text=_("What waits in a channel that is switched off is dropped."),
    )  # fmt: skip

    def __init__(self, *args: Any, options: type, channel: Channel | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in option_forms.fields(options, kept=channels.kept(channel) if channel else ()).items():
            self.fields[f"{PREFIX}{name}"] = field
            if channel and name in channel.options:
                value = channel.options[name]
                field.initial = ", ".join(value) if isinstance(value, list) else value
        if channel:
            self.initial.update(name=channel.name, enabled=channel.enabled)
        self.order_fields(["name", *(name for name in self.fields if name.startswith(PREFIX)), "enabled"])

    def values(self) -> dict[str, Any]:
        """Return name, options and whether it is on; a number that is left empty is as by default."""
        told = {
            name.removeprefix(PREFIX): value
            for name, value in self.cleaned_data.items()
            if name.startswith(PREFIX) and value is not None
        }
        return {"name": self.cleaned_data["name"], "enabled": self.cleaned_data["enabled"], "options": told}


class RouteForm(forms.Form):
    """What a channel is told of, and when."""

    severity = forms.ChoiceField(
        label=_("From severity"), choices=SEVERITIES, initial="medium", widget=UnfoldAdminSelectWidget()
    )
    service = forms.CharField(
        label=_("Service"), max_length=200, initial="*", widget=UnfoldAdminTextInputWidget(),
        help_text=_("* and ? stand for any characters: pay-*."),
    )  # fmt: skip
    begin = forms.TimeField(label=_("From"), initial=time(), widget=Clock(), input_formats=["%H:%M", "%H:%M:%S"])
    end = forms.TimeField(
        label=_("Until"), initial=time(), widget=Clock(), input_formats=["%H:%M", "%H:%M:%S"],
        help_text=_("The same as from: all day. Earlier: until the next day."),
    )  # fmt: skip
    weekdays = forms.MultipleChoiceField(
        label=_("Days of the week"), choices=DAYS, initial=[day for day, _name in DAYS],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )  # fmt: skip
    zone = forms.CharField(label=_("Time zone"), max_length=50, widget=UnfoldAdminTextInputWidget())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["zone"].initial = settings.TIME_ZONE

    def clean_zone(self) -> str:
        """Refuse what is no time zone."""
        zone: str = self.cleaned_data["zone"]
        try:
            check_zone(zone)
        except ValidationError as error:
            raise forms.ValidationError(error.messages) from error
        return zone

    def save(self, channel: Channel) -> Route:
        """Add the route."""
        told = self.cleaned_data
        return Route.objects.create(
            channel=channel, severity=told["severity"], service=told["service"], zone=told["zone"],
            from_minute=told["begin"].hour * 60 + told["begin"].minute,
            until_minute=told["end"].hour * 60 + told["end"].minute, weekdays="".join(told["weekdays"]),
        )  # fmt: skip
