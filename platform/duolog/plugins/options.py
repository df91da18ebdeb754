"""Options of jobs and plugins: frozen dataclasses, filled from JSON or `key=value` text with errors that help."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar, get_origin, get_type_hints
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from duolog.plugins.types import Reason

T = TypeVar("T")
HIDDEN = "…"
TELLING = 8
"""Characters from which on a part of an address is taken for a secret."""


class OptionsError(ValueError):
    """An option is unknown or its value does not fit; the message names the option and what would be right."""


def option(
    default: Any = dataclasses.MISSING,
    *,
    label: Reason,
    hint: Reason | str = "",
    secret: bool = False,
    target: bool = False,
) -> Any:
    """Return a dataclass field that a form shows under `label`, with a `hint`.

    A `secret` is text that nobody may read again: no answer, page, log or error of the platform tells it. A `target`
    says where secrets are sent to, so that whoever changes it has to enter them anew.
    """
    metadata = {"label": label, "hint": hint, "secret": secret, "target": target}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


@cache
def marked(cls: type, mark: str) -> frozenset[str]:
    """Return the names of the options that bear a mark of `option`: "secret" or "target"."""
    return frozenset(field.name for field in dataclasses.fields(cls) if field.metadata.get(mark))


def hide(text: str, options: Any) -> str:
    """Return a text without the secrets of an options dataclass, in whatever form they stand there.

    A `Reason` stays one. Of an address that is a secret its path and query go, too, and their longer parts.
    """
    if not dataclasses.is_dataclass(options) or isinstance(options, type):
        return text
    return without(text, [getattr(options, name) for name in marked(type(options), "secret")])


def without(text: str, secrets: Iterable[Any]) -> str:
    """Return a text without secrets, as `hide` does."""
    forms = sorted({form for secret in secrets if isinstance(secret, str) for form in _forms(secret)}, key=len)
    if isinstance(text, Reason):
        return Reason(text.message, **{name: _without(value, forms) for name, value in text.values.items()})
    told: str = _without(text, forms)
    return told


def _without(value: Any, forms: list[str]) -> Any:
    """Replace secrets in a text, the longest first: one may be a part of another."""
    if isinstance(value, str):
        for form in reversed(forms):
            value = value.replace(form, HIDDEN)
    return value


def _forms(secret: str) -> set[str]:
    """Return how a secret may stand in a text."""
    found = {secret, secret.strip()}
    if "://" in secret:
        parts = urlsplit(secret)
        told = [f"{parts.path}?{parts.query}", parts.query, *parts.path.split("/"), parts.path, parts.username or ""]
        told += [parts.password or "", *(value for _name, value in parse_qsl(parts.query))]
        found |= {each for each in told if len(each) >= TELLING}
    return {form for each in found if each for form in (each, quote(each), quote(each, safe=""))}


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return `cls` filled from `values`; raise OptionsError on unknown names, wrong types or a failed check.

    Strings are converted to the field's type, so that `{"epochs": "3"}` of a form or command line works; where a tuple
    is wanted, commas separate its members. A dot in a name is an underscore: `encoder.trainable`.
    """
    fields = get_type_hints(cls)
    values = {name.replace(".", "_"): value for name, value in values.items()}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(fields))}"
            raise OptionsError(f"unknown option {name!r}; {hint}")
    members = {
        name: [member.strip() for member in value.split(",")]
        for name, value in values.items()
        if isinstance(value, str) and get_origin(fields[name]) is tuple
    }
    try:
        return msgspec.convert({**values, **members}, type=cls, strict=False)
    except (msgspec.ValidationError, ValueError) as error:
        raise OptionsError(str(error)) from error


def parse_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """Return `["epochs=3", "p=0.9"]` as a dict; raise OptionsError on a pair without `=`."""
    values = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise OptionsError(f"{pair!r} is not of the form key=value")
        values[name.strip()] = value.strip()
    return values


def as_json(options: Any) -> dict[str, Any]:
    """Return an options dataclass as JSON-ready values, to be stored beside what it produced."""
    # asdict reads attributes: `build` leaves defaults on the class, where to_builtins alone would not see them.
    return msgspec.to_builtins(dataclasses.asdict(options))
