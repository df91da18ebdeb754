"""Options of jobs and plugins: frozen dataclasses, filled from JSON or `key=value` text with errors that help."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_origin, get_type_hints

import msgspec

T = TypeVar("T")


class OptionsError(ValueError):
    """An option is unknown or its value does not fit; the message names the option and what would be right."""


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
