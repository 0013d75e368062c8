"""What the header of an instance tells of people and places, for whoever looks for them in its texts and pixels."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from osler.standards.character_sets import decode

SPECIFIC_CHARACTER_SET: Final = 0x00080005
PERSONS: Final = frozenset(
    {
        0x00080090,  # Referring Physician's Name
        0x0008009C,  # Consulting Physician's Name
        0x00081048,  # Physician(s) of Record
        0x00081050,  # Performing Physician's Name
        0x00081060,  # Name of Physician(s) Reading Study
        0x00081070,  # Operators' Name
        0x00100010,  # Patient's Name
        0x00101001,  # Other Patient Names
        0x00101005,  # Patient's Birth Name
        0x00101060,  # Patient's Mother's Birth Name
        0x00102297,  # Responsible Person
        0x00321032,  # Requesting Physician
        0x00400006,  # Scheduled Performing Physician's Name
        0x0040A075,  # Verifying Observer Name
        0x00700084,  # Content Creator's Name
        0x300E0008,  # Reviewer Name
    }
)
"""Attributes that name people (PN)."""

NUMBERS: Final = frozenset(
    {
        0x00080050,  # Accession Number
        0x00100020,  # Patient ID
        0x00101000,  # Other Patient IDs
        0x00101090,  # Medical Record Locator
        0x00181000,  # Device Serial Number
        0x00200010,  # Study ID
        0x00380010,  # Admission ID
        0x00380060,  # Service Episode ID
        0x00402016,  # Placer Order Number
        0x00402017,  # Filler Order Number
        0x00120040,  # Clinical Trial Subject ID
    }
)
"""Attributes that number people, visits, orders and devices."""

DATES: Final = frozenset({0x00100030, 0x00380020})
"""Patient's Birth Date and Admitting Date."""

PHONES: Final = frozenset({0x00080094, 0x00102154, 0x00402010})
"""Referring Physician's, patient's and order callback telephone numbers."""

PLACES: Final = frozenset(
    {
        0x00080080,  # Institution Name
        0x00080081,  # Institution Address
        0x00080092,  # Referring Physician's Address
        0x00081010,  # Station Name
        0x00101040,  # Patient's Address
    }
)

READ: Final = PERSONS | NUMBERS | DATES | PHONES | PLACES | {SPECIFIC_CHARACTER_SET}
"""Attributes of the dataset itself whose raw values :func:`known_of_header` makes use of."""

_NO_PLACE: Final = re.compile(r"[\W\d_]*")
_DATE: Final = re.compile(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)")
_DIGITS: Final = re.compile(r"\d{4,}")


def texts(values: Mapping[int, bytes], tag: int) -> Iterator[str]:
    """Yield the values of an attribute; in every reading of its bytes when the declared one makes no sense."""
    raw = values.get(tag, b"")
    text = decode(raw, values.get(SPECIFIC_CHARACTER_SET, b""))
    readings = (text,) if text is not None else (decode(raw, cs) for cs in (b"ISO_IR 192", b"ISO_IR 100", b"GB18030"))
    for reading in readings:
        for value in (reading or "").split("\\"):
            if value.strip():
                yield value.strip()


def people(values: Mapping[int, bytes]) -> list[list[str]]:
    """Return the words of each name of the header, one list for each of its writings (PS3.5 6.2.1.1)."""
    found: list[list[str]] = []
    for tag in sorted(PERSONS & values.keys()):
        for name in texts(values, tag):
            for group in name.split("="):
                words = re.findall(r"[^\W\d_]+", group)
                if words and words not in found:
                    found.append(words)
    return found


def known_of_header(values: Mapping[int, bytes]) -> Mapping[str, Any]:
    """Return what a header tells of its patient and of those who care for them, as a FHIR R4 Patient.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of :data:`READ`, as encoded.

    Returns
    -------
    mapping
        As the context of :class:`osler.deidentify.text.Deidentifier`; empty when the header tells nothing.
    """
    names = [
        {"family": words[0], "given": words[1:]} for words in people(values) if any(len(word) > 1 for word in words)
    ]
    numbers = dict.fromkeys(number for tag in sorted(NUMBERS) for number in _numbers(values, tag))
    phones = [value for tag in sorted(PHONES) for value in texts(values, tag)]
    places = [value for tag in sorted(PLACES) for value in texts(values, tag) if not _NO_PLACE.fullmatch(value)]
    dates = [
        "-".join(match.groups())
        for tag in sorted(DATES)
        for value in texts(values, tag)
        if (match := _DATE.match(value))
    ]
    known: dict[str, Any] = {
        "name": names,
        "identifier": [{"value": number} for number in numbers],
        "telecom": [{"system": "phone", "value": phone} for phone in phones],
        "address": [{"line": [place]} for place in places],
        "birthDate": dates,
    }
    return {key: value for key, value in known.items() if value}


def _numbers(values: Mapping[int, bytes], tag: int) -> Iterator[str]:
    """Yield an identifier and the long numbers in it: a text may leave a prefix out."""
    for value in texts(values, tag):
        if sum(map(str.isalnum, value)) >= 3:
            yield value
        yield from _DIGITS.findall(value)
