"""Templates: what a line says with its variables as `<*>`, mined line by line, and a number for each that stays.

`match` masks a whole batch in compiled code and looks the masked lines up; only lines never seen before are mined.
Mining is a pure function first: lines of the same form (`logs.engine.forms`) are of one template. Then words that vary
are found by what was seen: as soon as enough different words stood at one place, everything else equal, that place is
a variable's and the templates are merged into one. So `user root`, `user bob` and `user eve` become `user <*>`, while
`opened` and `closed`, or 登录成功 and 登录失败, stay two templates.

Identity. A template's id is the hash of the form it was first seen in: processes that mine the same lines at the same
time agree on it without asking anybody, in any order, before anything is written. It is decided once: what is stored
is id and `examples`, the masked lines that made the template what it is, and `restore` reads them, whatever version
wrote them. A merge never renames: the id with the greater number points to the smaller one, so that processes that
merge at the same time cannot make a ring, and `resolve` follows the pointers.

Memory. Masked lines are remembered in two generations of `remember` lines, fewer if they are long: when the young one
is full it becomes the old one, and what the old one held and nobody asked for is forgotten (an LRU without its
bookkeeping on each hit). Of a line the first `HEAD` characters count. A miner makes at most `limit` templates, those
that were merged included; what is new then gets the one template `OVERFLOW`, whose text is `<*>`, until the limit is
raised: nothing known changes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from logs.engine import forms
from logs.engine.forms import WORDS, Form
from logs.engine.masking import MASK, mask

USUAL = 256
"""Characters of a usual masked line: so many times `remember` are remembered at most."""
ENOUGH = 0.99  # sixths do not add up to 1
OVERFLOW = 0
"""The id of what is beyond the limit."""

Words = tuple[str | None, ...]
"""Words of a template; None where any may stand."""
Structure = tuple[str, ...]


@dataclass(slots=True)
class Template:
    """A template; `fixed` is the text that a person gave it, which then decides alone what belongs to it."""

    id: int
    examples: list[str] = field(default_factory=list)
    merged_into: int | None = None
    fixed: str | None = None
    mined: str = ""
    count: int = 0

    @property
    def text(self) -> str:
        """The pattern, with `<*>` for each variable."""
        return self.mined if self.fixed is None else self.fixed


class Miner:
    """Finds the template of each line; one thread at a time, though others may mask meanwhile.

    `changed` holds the ids of templates that are new, wider or merged since the caller last emptied it.
    """

    def __init__(self, *, limit: int = 10_000, remember: int = 100_000) -> None:
        self.limit, self.remember = limit, remember
        self.templates: dict[int, Template] = {}
        self.changed: set[int] = set()
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._fixed: list[tuple[list[str], int]] = []
        self._exact: dict[tuple[Structure, Words], int] = {}
        self._wide: dict[Structure, list[tuple[Words, int]]] = {}
        self._shown: dict[int, tuple[Structure, list[str]]] = {}
        self._seen: dict[int, dict[str, tuple[float, int]]] = {}
        self._size = 0
        self._has_merged = False

    # --- lines --------------------------------------------------------------------------------------------------

    def match(self, lines: Sequence[str]) -> list[int]:
        """Return the id of each line's template, in order, and count it; any text is a line, the empty one, too."""
        return self.assign(*forms.masks(lines))

    def assign(self, lines: Sequence[str], masked: Sequence[str]) -> list[int]:
        """Do what `match` does for lines that are masked already (`forms.masks`)."""
        ids: list[Any] = list(map(self._young.get, masked))
        if None in ids:
            missing = [place for place, known in enumerate(ids) if known is None]
            new = self._learn({masked[place]: place for place in reversed(missing)}, lines)
            for place in missing:
                ids[place] = new[masked[place]]
        if self._has_merged:
            for known in (self._young, self._old):
                known.update({text: self.resolve(each) for text, each in known.items()})
            now = {each: self.resolve(each) for each in set(ids)}
            ids = [now[each] for each in ids]
            self._has_merged = False
        for each, count in Counter(ids).items():
            self.templates[each].count += count
        return ids

    def resolve(self, template: int) -> int:
        """Return the id that a template goes by now: its own, or that of what it was merged into."""
        while (known := self.templates.get(template)) and known.merged_into is not None:
            template = known.merged_into
        return template

    def find(self, example: str) -> int | None:
        """Return the template of a masked line without learning it; None: it would be a new one."""
        return self._find(forms.read(example))

    def _learn(self, places: dict[str, int], lines: Sequence[str]) -> dict[str, int]:
        """Return the templates of masked lines that are not in the young generation; `places` leads to their lines."""
        found = {}
        for text in reversed(places):  # in the order of the lines
            known = self._old.get(text)
            found[text] = self._place(forms.refine(lines[places[text]], text)) if known is None else known
        for text, template in found.items():
            self._young[text] = template
            self._size += len(text)
            if len(self._young) >= self.remember or self._size >= self.remember * USUAL:
                self._young, self._old, self._size = {}, self._young, 0
        return found

    # --- templates ----------------------------------------------------------------------------------------------

    def _place(self, example: str) -> int:
        """Return the template of a masked line, a new one if need be."""
        form = forms.read(example)
        found = self._find(form)
        if found is not None:
            self._widen(found, form, example)
            return found
        if len(self.templates) >= self.limit:
            if OVERFLOW not in self.templates:
                self.templates[OVERFLOW] = Template(OVERFLOW, mined=MASK)
                self.changed.add(OVERFLOW)
            return OVERFLOW
        made = self._new_id(form)
        self.templates[made] = Template(made)
        self._widen(made, form, example)
        self._add(form.structure, form.words, form.evidence, made)
        return made

    def _find(self, form: Form) -> int | None:
        text = form.text if self._fixed else ""
        for pieces, template in self._fixed:
            if forms.covers(pieces, text):
                return self.resolve(template)
        found = self._exact.get((form.structure, form.words))
        if found is None:
            wide = self._wide.get(form.structure, ())
            found = next((template for words, template in wide if _fits(words, form.words)), None)
        return None if found is None else self.resolve(found)

    def _new_id(self, form: Form) -> int:
        """Return the hash of a form, 63 bits, as an id that nothing has."""
        said, made = repr((form.structure, form.words)), OVERFLOW
        while made in self.templates or made == OVERFLOW:
            made = int.from_bytes(hashlib.blake2b(said.encode(), digest_size=8).digest()) >> 1
            said += "+"  # the form's id belongs to a template that a person gave another text
        return made

    def _widen(self, template: int, form: Form, example: str) -> None:
        """Let `<*>` stand where this example differs from those that the template was made of, and keep it if so."""
        known = self.templates[template]
        structure, shown = self._shown.setdefault(template, (form.structure, []))
        if known.fixed is not None or structure != form.structure:
            return
        wider = list(map(_wider, shown, form.shown, structure)) if known.examples else list(form.shown)
        if wider != shown or not known.examples:
            self._shown[template] = structure, wider
            known.examples.append(example)
            known.mined = "".join(wider).strip()
            self.changed.add(template)

    def _add(self, structure: Structure, words: Words, evidence: Sequence[float], template: int) -> None:
        """Let lines of these words be of a template, and merge what is now known to differ in a variable only."""
        wide = self._wide.setdefault(structure, []) if None in words else []
        same = dict(wide).get(words) if wide else self._exact.get((structure, words))
        if same is not None:  # found by another process under another id
            self._merge({self.resolve(same), self.resolve(template)})
        elif None in words:
            wide.append((words, template))
        else:
            self._exact[structure, words] = template
        if self.templates[self.resolve(template)].fixed is not None:  # its text alone decides
            return
        for place, (word, weight) in enumerate(zip(words[:WORDS], evidence, strict=False)):
            if word is None or not weight:
                continue
            wider = (*words[:place], None, *words[place + 1 :])
            seen = self._seen.setdefault(hash((structure, wider)), {})
            seen[word] = weight, template
            if len(seen) > 1 and sum(each for each, _ in seen.values()) > ENOUGH:
                self._merge({self.resolve(each) for _, each in seen.values()})
                self._add(structure, wider, evidence, self.resolve(template))
                return

    def _merge(self, templates: set[int]) -> None:
        templates = {each for each in templates if self.templates[each].fixed is None}
        into = min(templates, default=OVERFLOW)
        for each in sorted(templates - {into}):
            self.templates[each].merged_into = into
            self.changed.add(each)
            for example in self.templates[each].examples:
                self._widen(into, forms.read(example), example)
        self._has_merged = self._has_merged or len(templates) > 1

    # --- state --------------------------------------------------------------------------------------------------

    def export(self, templates: Iterable[int] | None = None) -> list[dict[str, Any]]:
        """Return what `restore` needs of these templates, or of all, as plain data."""
        return [asdict(self.templates[each]) for each in (self.templates if templates is None else templates)]

    def restore(self, records: Iterable[dict[str, Any]]) -> None:
        """Take over templates that were exported, here or elsewhere, also again: then what changed is learned."""
        records = list(records)
        # An older version may have masked less.
        masked = iter(mask([example for record in records for example in record["examples"]]))
        taken, edited = [], False
        for record in records:
            new, old = Template(**record), self.templates.get(record["id"])
            new.examples = list(islice(masked, len(new.examples)))
            if old is not None and new.id in self.changed and new.fixed is None:  # learned here, and not stored yet
                new.examples = list(dict.fromkeys([*old.examples, *new.examples]))
                new.merged_into = old.merged_into if new.merged_into is None else new.merged_into
            if old is not None:
                new.count = max(old.count, new.count)
                edited |= new.merged_into is None and old.merged_into is not None
            edited |= new.fixed != (old.fixed if old else None)
            self.templates[new.id] = new
            taken.append(new)
        if edited:  # a person's word may concern any line: start afresh
            self._young, self._old, self._fixed = {}, {}, []
            for index in (self._exact, self._wide, self._shown, self._seen):
                index.clear()
            taken = list(self.templates.values())
        changed, self.changed, self._has_merged = self.changed, set(), True
        # What was merged comes last: it needs a place of its own only where its target has none for it.
        for each in sorted(taken, key=lambda template: template.merged_into is not None):
            self._adopt(each)
        self.changed = changed | {record["id"] for record in records if self._is_ahead_of(record)}
        self._fixed.sort(key=lambda fixed: -sum(map(len, fixed[0])))  # the one that says most comes first

    def _is_ahead_of(self, record: dict[str, Any]) -> bool:
        known = self.templates[record["id"]]
        return known.merged_into != record["merged_into"] or not set(known.examples) <= set(record["examples"])

    def _adopt(self, template: Template) -> None:
        """Index a template by its examples: a place at which their words differ is a variable's."""
        if template.fixed is not None:
            fixed = (template.fixed.split(MASK), template.id)
            self._fixed += [] if fixed in self._fixed else [fixed]
            return
        examples, template.examples = template.examples, []
        self._shown.pop(template.id, None)
        folded: dict[Structure, tuple[Words, Sequence[float]]] = {}
        for example in examples:
            form = forms.read(example)
            if template.merged_into is not None and self._find(form) is not None:
                template.examples.append(example)
                continue
            self._widen(template.id, form, example)
            words = folded[form.structure][0] if form.structure in folded else form.words
            both = tuple(a if a == b else None for a, b in zip(words, form.words, strict=True))
            folded[form.structure] = both, form.evidence
        for structure, (words, evidence) in folded.items():
            self._add(structure, words, evidence, template.id)


def _fits(words: Words, others: Words) -> bool:
    return all(word is None or word == other for word, other in zip(words, others, strict=True))


def _wider(shown: str, other: str, sign: str) -> str:
    """Return how a token is shown that stands for both."""
    if sign or shown.strip() in {MASK, other.strip()}:
        return shown
    return f" {MASK}" if shown.startswith(" ") else MASK
