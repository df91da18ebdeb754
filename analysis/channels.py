"""Channels as people set them up: a notifier with its options, of which secrets are encrypted and never told."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

import msgspec
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from analysis.models import Channel, Delivery, Route
from duolog import secrets
from duolog.plugins import registry
from duolog.plugins.options import OptionsError, as_json, build, marked, without
from duolog.plugins.points import Notifier
from duolog.plugins.registry import PluginError
from logs import reasons
from workers.jobs import JobFailed

GROUP = "duolog.notifiers"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
"""Since when a new channel is ready: its bucket is full."""


def create(*, project: str, name: str, notifier: str, options: Mapping[str, Any], enabled: bool = True) -> Channel:
    """Make a channel, with a route for all that is of medium severity or worse.

    Raises OptionsError where its options make no sense, JobFailed where there is no such notifier or the name is taken.
    """
    channel = Channel(project=project, name=name, notifier=notifier, enabled=enabled, ready_at=LONG_AGO)
    _fill(channel, {name: value for name, value in options.items() if value is not None})
    _save(channel)
    Route.objects.create(channel=channel)
    return channel


def change(
    channel: Channel, *, name: str | None = None, options: Mapping[str, Any] | None = None, enabled: bool | None = None
) -> None:
    """Change what is given; a secret that is empty stays what it is, and one that is None is forgotten.

    Where an option changes that says where secrets are sent, they must be given anew: else somebody who may not read
    them could have them sent to a server of their own. What waits in a channel that is switched off is dropped.
    """
    channel.name = channel.name if name is None else name
    channel.enabled = channel.enabled if enabled is None else enabled
    if options is not None:
        _fill(channel, _merged(channel, options))
    _save(channel)
    if not channel.enabled:
        Delivery.objects.filter(channel=channel, state=Delivery.State.WAITING).delete()
        Delivery.objects.filter(channel=channel, state=Delivery.State.SENT).update(due_at=None)


def whole(channel: Channel) -> dict[str, Any]:
    """Return all options of a channel, secrets among them; raise SecretLost where these cannot be read."""
    return {**channel.options, **_secrets(channel)}


def kept(channel: Channel) -> list[str]:
    """Return the names of the secrets that a channel has; [] where they cannot be read."""
    try:
        return sorted(_secrets(channel))
    except secrets.SecretLost:
        return []


def hidden(text: str, channel: Channel) -> str:
    """Return a text without the secrets of a channel."""
    try:
        return without(text, _secrets(channel).values())
    except secrets.SecretLost:
        return text  # nobody could have read them


def plugin(channel: Channel) -> Notifier:
    """Return a channel's notifier; raise SecretLost, OptionsError or PluginError if there is none to be had."""
    options = whole(channel)
    if "language" in {field.name for field in dataclasses.fields(cast(Any, _class(channel)).Options)}:
        options["language"] = options.get("language") or settings.LANGUAGE_CODE[:2]
    return cast(Notifier, registry.create(GROUP, channel.notifier, options))


def renew() -> int:
    """Encrypt with the key of today what was encrypted with an earlier one, and return how much that was."""
    count = 0
    for channel in Channel.objects.exclude(secrets=b""):
        if fresh := secrets.renewed(channel.secrets):
            # The race: somebody enters other secrets meanwhile. Theirs stay.
            count += Channel.objects.filter(pk=channel.pk, secrets=channel.secrets).update(secrets=fresh)
    return count


def _class(channel: Channel) -> type[Notifier]:
    return cast(type[Notifier], registry.get(GROUP, channel.notifier))


def _secrets(channel: Channel) -> dict[str, Any]:
    if not channel.secrets:
        return {}
    return msgspec.json.decode(secrets.decrypt(channel.secrets), type=dict[str, Any])


def _merged(channel: Channel, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a channel's options with those that are given in the place of what they were."""
    cls = _loaded(channel)
    secret, target = marked(cls, "secret"), marked(cls, "target")
    try:
        before = whole(channel)
    except secrets.SecretLost:
        before = dict(channel.options)
    sent = {name: value for name, value in given.items() if name not in secret or value not in ("", None)}
    after = {**before, **sent}
    for name in secret & {name for name, value in given.items() if value is None}:
        after.pop(name, None)
    moved = sorted(name for name in target if str(after.get(name, "")) != str(before.get(name, "")))
    if moved and (left := sorted(secret & before.keys() & after.keys() - sent.keys())):
        text = gettext("%(name)s has changed, so enter %(secrets)s anew: secrets are not sent elsewhere unseen")
        raise OptionsError(text % {"name": moved[0], "secrets": ", ".join(left)})
    return after


def _loaded(channel: Channel) -> type:
    try:
        return _class(channel).Options
    except PluginError as error:
        raise JobFailed(str(error)) from error


def _fill(channel: Channel, given: dict[str, Any]) -> None:
    """Put options into a channel's columns; raise OptionsError, in the reader's language, if they make no sense."""
    cls = _loaded(channel)
    secret = marked(cls, "secret")
    try:
        told = as_json(build(cls, given))
    except OptionsError as error:
        text = without(reasons.of_options(error), [given.get(name) for name in secret])
        raise OptionsError(text) from None
    channel.options = {name: value for name, value in told.items() if name not in secret}
    mine = {name: told[name] for name in secret if told[name]}
    channel.secrets = secrets.encrypt(msgspec.json.encode(mine).decode()) if mine else b""


def _save(channel: Channel) -> None:
    values = {name: getattr(channel, name) for name in ("name", "options", "secrets", "enabled")}
    try:
        with transaction.atomic():
            if channel.pk:
                # Not `save`: that would write `ready_at`, which moves meanwhile.
                Channel.objects.filter(pk=channel.pk).update(**values)
            else:
                channel.save()
    except IntegrityError as error:
        text = gettext("project %(project)s has a channel %(name)s already")
        raise JobFailed(text % {"project": channel.project, "name": channel.name}) from error
