"""Texts whose identifiers are marked: JSON lines, or plain text with the marks in it.

In plain text an identifier stands in braces behind its category, ``seen by Dr. {NAME:Okafor} on {DATE:3/14}``, and a
line ``=== some-id`` opens the next text. ``{IGNORE:...}`` marks what counts neither as found nor as over-redacted.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.deidentify.text.spans import Category
from osler.errors import ConfigError

IGNORED: Final = "IGNORE"
"""Category of marked text that counts neither as found nor as over-redacted."""

COARSE: Final = ("CONTACT", "ID")
"""Categories that some corpora mark in place of finer ones."""

_MARK: Final = re.compile(rf"\{{({'|'.join([*Category, *COARSE, IGNORED])}):([^{{}}]*)\}}")
_OPENING: Final = "==="


@dataclass(frozen=True, slots=True)
class Marked:
    """An identifier that somebody marked; offsets are code points, ``end`` exclusive."""

    start: int
    end: int
    category: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A text and its marked identifiers."""

    id: str
    text: str
    marked: tuple[Marked, ...]

    def to_json(self) -> dict[str, object]:
        """Return the text as a line of a gold file."""
        spans = [{"start": m.start, "end": m.end, "cat": m.category} for m in self.marked]
        return {"id": self.id, "text": self.text, "spans": spans}


def read_gold(path: Path) -> Iterator[Gold]:
    """Read marked texts.

    Parameters
    ----------
    path : Path
        JSON lines ``{"id", "text", "spans": [{"start", "end", "cat" or "category"}]}``, marked plain text (``.txt``),
        or a folder of either.

    Raises
    ------
    ConfigError
        If a line has another form; the message quotes nothing of it.
    """
    if path.is_dir():
        for file in sorted(p for p in path.iterdir() if p.suffix in (".txt", ".jsonl")):
            yield from read_gold(file)
    elif path.suffix == ".txt":
        yield from parse_marked(path.read_text("utf-8"), path.stem)
    else:
        yield from _read_lines(path)


def read_predictions(path: Path) -> dict[str, tuple[Marked, ...]]:
    """Read what a de-identifier found: JSON lines ``{"id", "spans": [...]}``, by id.

    Raises
    ------
    ConfigError
        If a line has another form; the message quotes nothing of it.
    """
    with path.open(encoding="utf-8") as stream:
        return dict(_prediction(number, line) for number, line in enumerate(stream, 1) if line.strip())


def parse_marked(content: str, name: str) -> Iterator[Gold]:
    """Return the texts of marked plain text; one without an id is called `name` and its number."""
    number = 0
    for part in re.split(rf"^{_OPENING}", content, flags=re.MULTILINE):
        header, _, body = part.partition("\n")
        if body.strip():
            number += 1
            yield Gold(header.strip() or f"{name}-{number:02}", *_unmark(body.rstrip("\n")))


def _unmark(body: str) -> tuple[str, tuple[Marked, ...]]:
    pieces: list[str] = []
    marked: list[Marked] = []
    at = length = 0
    for match in _MARK.finditer(body):
        plain, value = body[at : match.start()], match[2]
        start = length + len(plain)
        length = start + len(value)
        at = match.end()
        pieces += (plain, value)
        marked.append(Marked(start, length, match[1]))
    return "".join([*pieces, body[at:]]), tuple(marked)


def _read_lines(path: Path) -> Iterator[Gold]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                row = json.loads(line)
                yield Gold(str(row["id"]), str(row["text"]), _spans(row))
            except (ValueError, KeyError, TypeError):
                raise ConfigError(f"line {number} of the gold file is not a marked text") from None


def _prediction(number: int, line: str) -> tuple[str, tuple[Marked, ...]]:
    try:
        row = json.loads(line)
        return str(row["id"]), _spans(row)
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"line {number} of the predictions is no object with an id and spans") from None


def _spans(row: dict[str, list[dict[str, object]]]) -> tuple[Marked, ...]:
    return tuple(_span(s) for s in row["spans"])


def _span(span: dict[str, object]) -> Marked:
    start, end = span["start"], span["end"]
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start <= end):
        raise ValueError("offsets")
    return Marked(start, end, str(span.get("cat") or span["category"]))
