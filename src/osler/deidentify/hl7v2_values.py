"""Values of observations (OBX-5) by their type (OBX-2): numbers stay, words are cleaned, the rest is removed.

References
----------
HL7 v2.8, 7.4.2.5; chapter 2A (data types), table 0125
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Final

from osler.deidentify import safe_harbor
from osler.deidentify.coding import in_years, is_measure
from osler.deidentify.free_text import TextDeidentifier
from osler.standards.hl7v2 import Message, split

_NUMBER: Final = re.compile(r"[<>]?=?\s?[+-]?(?:([0-9]{1,12})(?:\.[0-9]{0,8})?|\.[0-9]{1,8})")


def clean_value(raw: str, kind: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    """Return what may go on of one repetition of OBX-5, raw; empty when nothing.

    Parameters
    ----------
    raw : str
    kind : str
        OBX-2. Coded types are not for this function.
    unit : str
        OBX-6.1, to tell an age.
    message : Message
    text : TextDeidentifier
    """
    handler = _HANDLERS.get(kind)
    return handler(raw, unit, message, text) if handler else ""


def _is_number(raw: str) -> bool:
    match = _NUMBER.fullmatch(raw)
    return match is not None and is_measure(match[1] or "")


_STRUCTURED: Final = (re.compile(r"[<>]=?|=|<>").fullmatch, _is_number, re.compile(r"[-+/.:]").fullmatch, _is_number)


def _number(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    if not _is_number(raw):
        return ""
    years = in_years(float(raw.lstrip("<>= ")), unit)
    return str(safe_harbor.OLDEST_AGE + 1) if years is not None and years > safe_harbor.OLDEST_AGE else raw


def _structured(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    mark = message.delimiters.component
    parts = split(raw, mark)
    made = [part if i < 4 and _STRUCTURED[i](part) else "" for i, part in enumerate(parts)]
    numbers = [_number(made[i], unit, message, text) for i in (1, 3) if i < len(made) and made[i]]
    if any(number not in made for number in numbers):  # an age over 89
        return mark.join((">=", str(safe_harbor.OLDEST_AGE + 1)))
    return mark.join(made)


def _array(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    mark = message.delimiters.component
    return mark.join(part if _is_number(part) else "" for part in split(raw, mark))


def _words(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    if _is_number(raw):
        return _number(raw, unit, message, text)
    return message.delimiters.escaped(text.deidentify(message.text(raw)))


def _date(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    return safe_harbor.year(raw)


def _dates(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    mark = message.delimiters.component
    return mark.join(safe_harbor.year(part) for part in split(raw, mark))


def _encapsulated(raw: str, unit: str, message: Message, text: TextDeidentifier) -> str:
    """Clean text in its envelope (ED): source, type, subtype, encoding, data. Anything but plain text is removed."""
    mark = message.delimiters.component
    _, kind, subtype, encoding, data = [*split(raw, mark), *[""] * 5][:5]
    if kind.upper() not in ("TEXT", "TX", "FT") or subtype.upper() not in ("", "PLAIN", "TEXT", "TXT"):
        return ""
    words = message.text(data)
    if encoding.upper() == "BASE64":
        try:
            words = base64.b64decode(words).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            return ""
    cleaned = text.deidentify(words)
    if not cleaned:
        return ""
    plain = message.delimiters.escaped(cleaned)
    is_base64 = encoding.upper() == "BASE64"
    shown = base64.b64encode(cleaned.encode()).decode() if is_base64 else plain
    return mark.join(("", kind, subtype, "Base64" if is_base64 else "A", shown))


_HANDLERS: Final[Mapping[str, Callable[[str, str, Message, TextDeidentifier], str]]] = {
    "NM": _number,
    "SN": _structured,
    "NA": _array,
    "MA": _array,
    "ST": _words,
    "TX": _words,
    "FT": _words,
    "DT": _date,
    "TS": _date,
    "DTM": _date,
    "DR": _dates,
    "ED": _encapsulated,
}
