r"""Templates into notes: fills fields, records where the identifiers went, and applies a style's typography.

A template file has styles (``@name transform...``), lines that open a note (``> ``), lines to sample (``- ``) and lines
that close it (``< ``). In a line ``{field}`` is a field of `values`, ``{p.last}`` a form of a person's name (p is the
patient, any other word somebody else of the note), and ``\n`` a new line.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from osler.deidentify.text.corpus.people import People, Person
from osler.deidentify.text.corpus.values import FACTS, IDENTIFIERS
from osler.deidentify.text.spans import Category

_FIELD: Final = re.compile(r"\{([a-z0-9]+)(?:\.([a-z]+))?\}")
_MISREAD: Final = str.maketrans("oOlIS", "00115")
_FORMS: Final[dict[str, Callable[[Person], str]]] = {
    "first": lambda p: p.given,
    "last": lambda p: p.surname,
    "full": lambda p: f"{p.given} {p.surname}",
    "middle": lambda p: f"{p.given} {p.middle[0]}. {p.surname}",
    "long": lambda p: f"{p.given} {p.middle} {p.surname}",
    "comma": lambda p: f"{p.surname}, {p.given}",
    "commam": lambda p: f"{p.surname}, {p.given} {p.middle[0]}",
    "caps": lambda p: f"{p.surname.upper()}, {p.given.upper()}",
    "short": lambda p: f"{p.given[0]}. {p.surname}",
    "firstl": lambda p: f"{p.given} {p.surname[0]}.",
    "initials": lambda p: p.initials,
    "lower": lambda p: p.given.lower(),
    "lowerlast": lambda p: p.surname.lower(),
    "surcaps": lambda p: f"{p.given} {p.surname.upper()}",
    "surcomma": lambda p: f"{p.surname.upper()},{p.given.upper()} {p.middle[0].upper()}",
    "midinit": lambda p: p.middle[0],
    "linit": lambda p: p.initials.lower(),
    "dots": lambda p: f"{p.given[0]}.{p.surname[0]}.",
    "word": lambda p: p.word,
    "nick": lambda p: f'{p.given} "{p.middle}" {p.surname}',
    "double": lambda p: f"{p.given} {p.middle}",
    "hyphen": lambda p: f"{p.given}-{p.middle.lower()}",
    "asian": lambda p: f"{p.surname} {p.middle} {p.given}",
    "particle": lambda p: f"{p.given} {p.particle} {p.surname}",
    "dotsur": lambda p: f"{p.given[0]}.{p.surname}",
    "spaced": lambda p: f"{p.given[0]} {p.surname}",
    "surinit": lambda p: f"{p.surname} {p.given[0]}",
    "commainit": lambda p: f"{p.surname}, {p.given[0]}",
    "spell": lambda p: " ".join(p.given.upper()),
    "spelldash": lambda p: "-".join(p.surname.upper()),
    "ocr": lambda p: f"{p.given} {p.surname}".translate(_MISREAD),
}
_WRAP_COLUMNS: Final = (48, 90)


@dataclass(frozen=True, slots=True)
class Planted:
    """An identifier in a generated note; offsets are code points, ``end`` exclusive."""

    start: int
    end: int
    category: Category


@dataclass(frozen=True, slots=True)
class Note:
    """A generated note and what is planted in it."""

    id: str
    text: str
    planted: tuple[Planted, ...]

    def to_json(self) -> dict[str, object]:
        """Return the line that ``osler deid evaluate`` reads."""
        spans = [{"start": p.start, "end": p.end, "cat": p.category.value} for p in self.planted]
        return {"id": self.id, "text": self.text, "spans": spans}


@dataclass(slots=True)
class Style:
    """The lines of one kind of note."""

    name: str
    transforms: tuple[str, ...]
    head: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    foot: list[str] = field(default_factory=list)


def training_notes(count: int, *, seed: int) -> Iterator[Note]:
    """Return `count` notes of the training part; the same seed gives the same notes."""
    return _notes("training.txt", People(held_out=False), count, seed)


def held_out_notes(count: int, *, seed: int) -> Iterator[Note]:
    """Return `count` notes of the held-out part: other templates, other names."""
    return _notes("held_out.txt", People(held_out=True), count, seed)


def _notes(templates: str, people: People, count: int, seed: int) -> Iterator[Note]:
    styles = _styles(templates)
    rng = random.Random(seed)  # noqa: S311  not a secret: notes must be repeatable
    for number in range(count):
        style = styles[number % len(styles)]
        yield _note(f"{style.name}-{number}", style, people, rng)


def _styles(name: str) -> list[Style]:
    styles: list[Style] = []
    for line in files(__package__).joinpath(name).read_text("utf-8").splitlines():
        mark, rest = line[:1], line[2:].replace("\\n", "\n")
        if mark == "@":
            style, *transforms = line[1:].split()
            styles.append(Style(style, tuple(transforms)))
        elif mark in "><-" and mark:
            {">": styles[-1].head, "-": styles[-1].body, "<": styles[-1].foot}[mark].append(rest)
    return styles


def _note(note_id: str, style: Style, people: People, rng: random.Random) -> Note:
    head = [line for line in style.head if rng.random() < 0.9]
    foot = [line for line in style.foot if rng.random() < 0.8]
    body = rng.sample(style.body, min(len(style.body), rng.randrange(3, 9)))
    joiner = " " if "prose" in style.transforms else "\n"
    template = "\n".join([*head, joiner.join(body), *foot])
    text, planted = _fill(template, people, rng)
    if "caps" in style.transforms and rng.random() < 0.7:
        upper = text.upper()
        text = upper if len(upper) == len(text) else text
    if "lower" in style.transforms:
        lower = text.lower()
        text = lower if len(lower) == len(text) else text
    if "wrap" in style.transforms:
        text = _wrap(text, rng.randrange(*_WRAP_COLUMNS))
    return Note(note_id, text, planted)


def _fill(template: str, people: People, rng: random.Random) -> tuple[str, tuple[Planted, ...]]:
    cast: dict[str, Person] = {}
    pieces: list[str] = []
    planted: list[Planted] = []
    length = at = 0
    for match in _FIELD.finditer(template):
        plain = template[at : match.start()]
        value, category = _value(match[1], match[2], cast, people, rng)
        start = length + len(plain)
        length = start + len(value)
        at = match.end()
        pieces += (plain, value)
        if category is not None:
            planted.append(Planted(start, length, category))
    return "".join([*pieces, template[at:]]), tuple(planted)


def _value(
    name: str, form: str | None, cast: dict[str, Person], people: People, rng: random.Random
) -> tuple[str, Category | None]:
    if form is not None:
        person = cast.setdefault(name, people.draw(rng))
        return _FORMS[form](person), Category.NAME
    if name in FACTS:
        return FACTS[name](rng), None
    category, make = IDENTIFIERS[name]
    return make(rng), category


def _wrap(text: str, column: int) -> str:
    """Break long lines at spaces; the length, and so every offset, stays."""
    out = list(text)
    start = 0
    while start + column < len(text):
        newline = text.find("\n", start, start + column)
        space = newline if newline >= 0 else text.rfind(" ", start + 1, start + column)
        if space < 0:
            break
        out[space] = "\n"
        start = space + 1
    return "".join(out)
