"""Bring the catalogues in step with the sources (`make messages`): extract, merge, compile; no gettext tool needed.

Messages of django-unfold, which ships no translations, are taken in where Django has none for them either. English
needs a catalogue for one thing only: the names of anomaly types, which are Chinese in the data (`logs.labels.named`).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[3]
SOURCES = ["platform/duolog", "workers", "logs", "detection", "analysis", "training"]
LANGUAGES = {"zh_Hans": "zh_Hans_CN"}
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(["_", "gettext", "gettext_lazy", "gettext_noop", "Reason"]),
    **dict.fromkeys(["ngettext", "ngettext_lazy"], (1, 2)),
    **dict.fromkeys(["pgettext", "pgettext_lazy"], ((1, "c"), 2)),
    "npgettext": ((1, "c"), 2, 3),
}
METADATA: dict[str, Any] = {
    "project": "Duolog",
    "version": "1",
    "header_comment": "# The words of the console, the API and the command line; kept in step by update.py.",
    "msgid_bugs_address": "-",
    "last_translator": "-",
    "language_team": "-",
    "fuzzy": False,
}


def sources() -> Catalog:
    """Return all messages that the sources of the project and the used ones of unfold hold."""
    catalog = Catalog(**METADATA)
    for name in SOURCES:
        for place, line, message, context in messages(ROOT / name):
            catalog.add(message, locations=[(str(place.relative_to(ROOT)), line)], context=context)
    known = django_catalog()
    for place, _line, message, context in messages(package("unfold")):
        if "contrib" in place.parts and "filters" not in place.parts:
            continue  # parts of unfold that we do not install
        if known.get(message, context) is None and catalog.get(message, context) is None:
            catalog.add(message, locations=[("django-unfold", 0)], context=context)
    return catalog


def anomalies() -> Catalog:
    """Return the English names of anomaly types and of their categories."""
    from logs.engine import taxonomy

    catalog = Catalog(locale="en", **METADATA)
    names = {known.name: known.english for known in taxonomy.types().values()} | taxonomy.CATEGORIES
    for name, english in names.items():
        catalog.add(name, english, context="anomaly")
    return catalog


def messages(folder: Path) -> Iterator[tuple[Path, int, Any, str | None]]:
    """Yield file, line, message (a pair where it has a plural) and context of a folder's Python files and templates."""
    from django.utils.translation.template import templatize

    for place in sorted(folder.rglob("*")):
        if place.suffix not in (".py", ".html") or "migrations" in place.parts:
            continue
        text = place.read_text(encoding="utf-8")
        if place.suffix == ".html":
            # Django rewrites a template as calls, line by line; indented as it was, that would be no Python.
            text = "\n".join(line.lstrip() for line in templatize(text, origin=str(place)).split("\n"))
        for line, message, _comments, context in extract("python", io.BytesIO(text.encode()), KEYWORDS):
            yield place, line, message, context


def django_catalog() -> Catalog:
    """Return what Django itself translates into Chinese."""
    merged = Catalog()
    for app in ("conf", "contrib/admin", "contrib/auth"):
        with (package("django") / app / "locale/zh_Hans/LC_MESSAGES/django.mo").open("rb") as file:
            for message in read_mo(file):
                merged.add(message.id, message.string, context=message.context)
    return merged


def package(name: str) -> Path:
    """Return the folder of an installed package."""
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None  # noqa: S101 - it is a dependency
    return Path(spec.origin).parent


def po_file(language: str) -> Path:
    """Return where a language's catalogue lies; its compiled form lies beside it."""
    return Path(__file__).parent / language / "LC_MESSAGES" / "django.po"


def read(language: str) -> Catalog:
    """Return a language's catalogue."""
    with po_file(language).open("rb") as file:
        return read_po(file, locale=LANGUAGES.get(language, language))


def untranslated(catalog: Catalog) -> list[Message]:
    """Return messages that have no translation, or one that somebody must look at."""
    return [message for message in catalog if message.id and (message.fuzzy or not all(strings(message)))]


def strings(message: Message) -> list[str]:
    """Return the forms of a message's translation."""
    return list(message.string) if isinstance(message.string, tuple | list) else [message.string or ""]


def main() -> int:
    """Update and compile every language; return 1 if something is left to translate."""
    found, left = sources(), 0
    for language, locale in LANGUAGES.items():
        place = po_file(language)
        catalog = read(language) if place.exists() else Catalog(locale=locale, **METADATA)
        found.creation_date = catalog.creation_date  # a new date each time would only make noise
        catalog.update(found, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        write(catalog, place)
        for message in untranslated(catalog):
            print(f"{language}: {message.id!r}")
            left = 1
    names = anomalies()
    names.creation_date = names.revision_date = found.creation_date
    write(names, po_file("en"))
    return left


def write(catalog: Catalog, place: Path) -> None:
    """Write a catalogue, and its compiled form beside it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as file:
        write_po(file, catalog, width=120, sort_output=True, omit_header=False, include_lineno=False)
    with place.with_suffix(".mo").open("wb") as file:
        write_mo(file, catalog)


if __name__ == "__main__":
    sys.exit(main())
