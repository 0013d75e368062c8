"""Values of observations (OBX-5) by their type (OBX-2): numbers stay, words are cleaned, the rest is removed.

References
----------
HL7 v2.8, 7.4.2.5; chapter 2A (data types), table 0125
"""

import base64
import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Final

from osler.deidentify import safe_harbor
from osler.deidentify.coding import in_years, is_measure
from osler.deidentify.free_text import TextDeidentifier
from osler.deidentify.marked_up import clean_document
from osler.deidentify.methods import Values
from osler.standards.hl7v2 import Message, split

_NUMBER: Final = re.compile(r"[<>]?=?\s?[+-]?(?:([0-9]{1,12})(?:\.[0-9]{0,8})?|\.[0-9]{1,8})")
_KINDS: Final = frozenset(
    {"AP", "AU", "FT", "IM", "NS", "SD", "SI", "TX", "TEXT", "APPLICATION", "AUDIO", "IMAGE", "MULTIPART", "VIDEO"}
)
_SUBTYPES: Final = frozenset(
    {
        *(
            "PLAIN",
            "TEXT",
            "TXT",
            "HTML",
            "HTM",
            "RTF",
            "PDF",
            "XML",
            "SGML",
            "X-HL7-CDA-LEVEL-ONE",
            "HL7-CDA+XML",
            "DOC",
            "DOCX",
        ),
        *("BASIC", "DICOM", "FAX", "GIF", "JOT", "JPEG", "JPG", "PICT", "PNG", "TIFF", "TIF", "MPEG", "MP4", "ZIP"),
        *("OCTET-STREAM", "POSTSCRIPT", "MSWORD", "HL7-CDA+XML"),
    }
)
"""Types and subtypes of data (tables 0191 and 0291), and what else is written for them."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a value of OBX-5 stands in.

    Parameters
    ----------
    unit : str
        OBX-6.1, to tell an age.
    message : Message
    text : TextDeidentifier
    values : Values
    numbers : set of str, optional
        Numbers of the people, which may not go on as a value.
    """

    unit: str
    message: Message
    text: TextDeidentifier
    values: Values
    numbers: Set[str] = frozenset()

    def split(self, raw: str) -> list[str]:
        """Return the raw components."""
        return list(split(raw, self.message.delimiters.component))

    def join(self, parts: list[str]) -> str:
        """Return components as one raw value."""
        return self.message.delimiters.component.join(parts)


def clean_value(raw: str, kind: str, observed: Observed) -> str:
    """Return what may go on of one repetition of OBX-5, raw; empty when nothing.

    Parameters
    ----------
    raw : str
    kind : str
        OBX-2. Coded types are not for this function.
    observed : Observed
    """
    handler = _HANDLERS.get(kind)
    return handler(raw, observed) if handler else ""


def _is_number(raw: str) -> bool:
    match = _NUMBER.fullmatch(raw)
    return match is not None and is_measure(match[1] or "")


def _digits(raw: str) -> str:
    return raw.partition(".")[0].lstrip("<>= +-0")


_STRUCTURED: Final = (re.compile(r"[<>]=?|=|<>").fullmatch, _is_number, re.compile(r"[-+/.:]").fullmatch, _is_number)


def _number(raw: str, observed: Observed) -> str:
    if not _is_number(raw) or _digits(raw) in observed.numbers:
        return ""
    years = in_years(float(raw.lstrip("<>= ")), observed.unit) if observed.values.caps_ages else None
    return str(safe_harbor.OLDEST_AGE + 1) if years is not None and years > safe_harbor.OLDEST_AGE else raw


def _structured(raw: str, observed: Observed) -> str:
    made = [part if i < 4 and _STRUCTURED[i](part) else "" for i, part in enumerate(observed.split(raw))]
    made = [part if _digits(part) not in observed.numbers else "" for part in made]
    numbers = [_number(made[i], observed) for i in (1, 3) if i < len(made) and made[i]]
    if any(number not in made for number in numbers):  # an age over 89
        return observed.join([">=", str(safe_harbor.OLDEST_AGE + 1)])
    return observed.join(made)


def _array(raw: str, observed: Observed) -> str:
    return observed.join([_number(part, observed) for part in observed.split(raw)])


def _words(raw: str, observed: Observed) -> str:
    if _is_number(raw):
        return _number(raw, observed)
    message = observed.message
    return message.delimiters.escaped(observed.text.deidentify(message.text(raw)))


def _date(raw: str, observed: Observed) -> str:
    return observed.values.date(observed.split(raw)[0])


def _dates(raw: str, observed: Observed) -> str:
    return observed.join([observed.values.date(part) for part in observed.split(raw)])


def _time(raw: str, observed: Observed) -> str:
    return raw if re.fullmatch(r"[0-2][0-9](?:[0-5][0-9]){0,2}(?:\.[0-9]{1,4})?", raw) else ""


def _encapsulated(raw: str, observed: Observed) -> str:
    """Clean a document in its envelope (ED): source, type, subtype, encoding, data.

    Of one that cannot be cleaned the type stays, so that its place is seen.
    """
    _, kind, subtype, encoding, data = [*observed.split(raw), *[""] * 5][:5]
    known = [part if part.upper() in names else "" for part, names in ((kind, _KINDS), (subtype, _SUBTYPES))]
    words = observed.message.text(data)
    is_base64 = encoding.upper() == "BASE64"
    try:
        content = base64.b64decode(words) if is_base64 else words.encode()
    except ValueError:  # no base64, or no ASCII at all
        content = b""
    cleaned = clean_document(content, _media_type(kind, subtype), observed.text)
    if cleaned is None:
        return observed.join(["", *known, "", ""])
    if is_base64:
        return observed.join(["", *known, "Base64", base64.b64encode(cleaned).decode()])
    return observed.join(["", *known, "A", observed.message.delimiters.escaped(cleaned.decode())])


def _media_type(kind: str, subtype: str) -> str:
    """Return the media type of an ED; HL7 v2 has its own names beside those of MIME (tables 0191 and 0291)."""
    names = {kind.upper(), subtype.upper()}
    if names & {"RTF"}:
        return "text/rtf"
    if names & {"HTML", "HTM"}:
        return "text/html"
    if names & {"XML", "X-HL7-CDA-LEVEL-ONE", "HL7-CDA+XML"}:
        return "text/xml"
    is_plain = kind.upper() in ("TEXT", "TX", "FT") and subtype.upper() in ("", "PLAIN", "TEXT", "TXT")
    return "text/plain" if is_plain else ""


_HANDLERS: Final[Mapping[str, Callable[[str, Observed], str]]] = {
    "NM": _number,
    "SN": _structured,
    "NA": _array,
    "MA": _array,
    "ST": _words,
    "TX": _words,
    "FT": _words,
    "DT": _date,
    "TM": _time,
    "TS": _date,
    "DTM": _date,
    "DR": _dates,
    "ED": _encapsulated,
}
