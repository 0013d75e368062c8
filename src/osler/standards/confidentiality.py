"""The confidentiality profile of PS3.15 and the types of PS3.3, as tables. What to make of them is for the caller.

References
----------
DICOM PS3.15 annex E, table E.1-1; PS3.3 annex A and C, PS3.5 section 7.4 (types)
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

EDITION = "2026c"
ACTIONS = frozenset({"X", "Z", "D", "K", "C", "U", "X/Z", "X/D", "X/Z/D", "X/Z/U*", "Z/D"})


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One row of table E.1-1.

    Parameters
    ----------
    pattern : str
        Eight hexadecimal digits, or ``50XXXXXX``, ``60XX3000``, ``60XX4000``, and ``GGGGEEEE`` for private attributes.
    keyword : str
        Empty where the row stands for no single attribute, or for one that has no keyword.
    basic : str
        Action of the basic profile: X remove, Z empty, D dummy, U replace consistently, and choices between them.
    options : mapping of str to str
        Action under an option, by the option's name in kebab-case.
    """

    pattern: str
    keyword: str
    basic: str
    options: Mapping[str, str]


@cache
def profile_rows() -> tuple[ProfileRow, ...]:
    """Return table E.1-1 in the order of the tags."""
    return tuple(
        ProfileRow(
            row.pop("tag"), row.pop("keyword"), row.pop("basic"), {name: value for name, value in row.items() if value}
        )
        for row in _rows("ps3.15-table-e.1-1.csv")
    )


@cache
def basic_actions() -> Mapping[int, str]:
    """Return the action of the basic profile by tag; the rows that stand for many tags are in :func:`basic_action`."""
    return {int(row.pattern, 16): row.basic for row in profile_rows() if not set(row.pattern) & set("GX")}


def basic_action(tag: int) -> str | None:
    """Return the action of the basic profile for a tag, None where the table has no row for it."""
    group = tag >> 16
    if group % 2 or group & 0xFF00 == 0x5000 or (group & 0xFF00 == 0x6000 and tag & 0xFFFF in (0x3000, 0x4000)):
        return "X"
    return basic_actions().get(tag)


@cache
def option_actions() -> Mapping[int, Mapping[str, str]]:
    """Return by tag what the options do instead of the basic profile: ``K`` keep, ``C`` clean."""
    return {int(row.pattern, 16): row.options for row in profile_rows() if not set(row.pattern) & set("GX")}


@cache
def safe_private() -> Mapping[tuple[str, int, int], str]:
    """Return the value representation of safe private attributes, by creator, group and element in its block.

    Only those whose value is a number.

    References
    ----------
    DICOM PS3.15, table E.3.10-1
    """
    return {
        (row["creator"], int(row["group"], 16), int(row["element"], 16)): row["vr"]
        for row in _rows("ps3.15-table-e.3.10-1.csv")
    }


@cache
def image_types() -> Mapping[int, tuple[str, str]]:
    """Return the strictest type that an attribute has in the image IODs: in the dataset itself, and in items.

    The types are ``"1"``, ``"1C"``, ``"2"`` and ``"2C"``; empty for type 3 and where no module has the attribute.
    Sequences and binary numbers are left out unless table E.1-1 leaves a choice of actions for them.
    """
    return {int(row["tag"], 16): (row["dataset"], row["item"]) for row in _rows("ps3.3-image-types.csv")}


def _rows(name: str) -> Iterator[dict[str, str]]:
    lines = files("osler.standards").joinpath("data", name).read_text(encoding="ascii").splitlines()
    yield from csv.DictReader(lines[1:])


@cache
def body_parts() -> frozenset[str]:
    """Return the values of Body Part Examined (0018,0015) that PS3.16 table L-1 defines."""
    return _words("ps3.16-body-parts.txt")


@cache
def code_words() -> frozenset[str]:
    """Return the words that code strings (CS) of image IODs are made of (PS3.3, defined terms)."""
    return _words("ps3.3-code-words.txt")


def _words(name: str) -> frozenset[str]:
    text = files("osler.standards").joinpath("data", name).read_text(encoding="ascii")
    return frozenset(text.splitlines()[1:])
