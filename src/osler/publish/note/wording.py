"""The words of a note: as XHTML for a narrative and as plain text, whatever a statement holds."""

import datetime
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Final

from osler.publish.note.characters import printable
from osler.publish.note.identified import IdentifiedNote, IdentifiedSection, IdentifiedStatement
from osler.standards.fhir import Resource

_NOT_ID: Final = re.compile(r"[^A-Za-z0-9_.-]")


def name_of(practitioner: Resource) -> str:
    """Return how a Patient or Practitioner is called; empty when no name is known."""
    for name in practitioner.get("name", []):
        parts = [*name.get("prefix", []), *name.get("given", []), name.get("family", ""), *name.get("suffix", [])]
        text = name.get("text") or " ".join(filter(None, parts))
        if text:
            return printable(text)
    return ""


def made_by(note: IdentifiedNote) -> str:
    """Say what drafted a note, and who answers for it."""
    author = note.author
    kind = "a language model" if author.kind == "language-model" else "an extractive model"
    drafted = printable(f"Drafted by artificial intelligence ({kind}: {author.name} {author.version})")
    if note.signature is None:
        return f"{drafted}. Not signed: preliminary until a clinician has reviewed it."
    who = name_of(note.signature.practitioner) or "a clinician"
    return f"{drafted}; reviewed and signed by {who} on {_day(note.signature.at)}."


def narrative(statements: Iterable[IdentifiedStatement]) -> Resource:
    """Return statements as a Narrative: a list whose items have the ids of the statements."""
    items = "".join(
        f'<li id="{_NOT_ID.sub("-", statement.id)}">{_xhtml(statement.text)}</li>' for statement in statements
    )
    return _generated(f"<ul>{items}</ul>")


def paragraph(text: str) -> Resource:
    """Return one paragraph as a Narrative."""
    return _generated(f"<p>{_xhtml(text)}</p>")


def parts(note: IdentifiedNote) -> Iterator[list[IdentifiedSection]]:
    """Yield the sections of a note, those of one key together: the parts of a plan by problem."""
    for _, group in groupby(note.sections, key=lambda section: (section.key, section.title, section.code)):
        yield list(group)


def plain_text(note: IdentifiedNote) -> str:
    """Return a whole note as plain text, with what drafted it and who signed it."""
    lines = [note.title, made_by(note), ""]
    for group in parts(note):
        lines += [group[0].title.upper(), *section_lines(group), ""]
    return printable("\n".join(lines))


def section_lines(group: Sequence[IdentifiedSection]) -> list[str]:
    """Return the lines of sections that stand under one title."""
    lines = []
    for section in group:
        lines += [f"{printable(section.problem).strip()}:"] if section.problem.strip() else []
        lines += [" ".join(printable(statement.text).split()) for statement in section.statements]
    return lines


def _generated(content: str) -> Resource:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{content}</div>'}


def _xhtml(text: str) -> str:
    return escape(printable(text).strip(), quote=True) or "-"


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
