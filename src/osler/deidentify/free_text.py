"""What structured formats ask of the text engine, and what they do without one: remove free text."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

Known = Mapping[str, Any]
"""What is known of the people in a message, as a FHIR Patient: name, birthDate, telecom, address, identifier."""


_SHORTEST_NUMBER: Final = 5
_STREET: Final = re.compile(r"[0-9]{1,6}[A-Za-z]?,? ([^\W\d_]{3,}(?: [^\W\d_]{3,})+)(?: [A-Za-z]{2,9}\.?)?")


def known_values(known: Known) -> frozenset[str]:
    """Return the digits of the people's identifiers and telephone numbers, and the words of their names.

    A value of an observation that is one of the numbers is no measure; a town that is one of the names is no town.
    """
    items = (item for key in ("identifier", "telecom") for item in known.get(key) or () if isinstance(item, Mapping))
    values = (str(item.get("value", "")) for item in items)
    numbers = (re.sub(r"[^0-9]", "", value).lstrip("0") for value in values if not re.search(r"[A-Za-z]{3}", value))
    names = name_words({"name": known.get("name")})
    return frozenset(number for number in numbers if len(number) >= _SHORTEST_NUMBER) | names


def street_lines(line: str) -> list[str]:
    """Return an address line, and the name of its street by itself."""
    match = _STREET.fullmatch(line.strip())
    return [line, match[1]] if match else [line]


def distinct(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return each name, address or number once: a bundle names the same physician in every resource."""
    return list({json.dumps(item, sort_keys=True): item for item in items}.values())


def name_words(known: Known) -> frozenset[str]:
    """Return the words of the people's names and places, in lower case."""
    items = [item for key in ("name", "address") for item in known.get(key) or () if isinstance(item, Mapping)]
    values = (value for item in items for value in item.values())
    texts = (text for value in values for text in (value if isinstance(value, list) else [value]))
    return frozenset(word for text in texts for word in re.findall(r"[^\W\d_]+", str(text).lower()))


class TextDeidentifier(Protocol):
    """Takes the identifiers out of a text."""

    def deidentify(self, text: str) -> str:
        """Return the text without identifiers; empty when nothing of it may go on."""
        ...

    def display(self, text: str) -> str:
        """Return the display of a code of a shared vocabulary without identifiers."""
        ...


TextFor = Callable[[Known, str], TextDeidentifier]
"""Makes a text de-identifier that looks for the people of one message first, and draws from a patient's secret."""


class RemovedText:
    """Removes all free text: what is not understood does not go on."""

    def deidentify(self, text: str) -> str:
        """Return nothing of the text."""
        return ""

    def display(self, text: str) -> str:
        """Return nothing of the text."""
        return ""


def no_text(known: Known, secret: str) -> TextDeidentifier:
    """Return what removes all free text."""
    return RemovedText()
