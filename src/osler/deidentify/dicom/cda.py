"""HL7 CDA documents: written anew from what is known to be safe.

Of the header the kind of document is left, of the body the sections with cleaned narrative, and entries with codes of
public code systems and numbers. People, places, times, identifiers, media and extensions are not written. What the
schema demands of them stands there masked.

References
----------
HL7 CDA Release 2; DICOM PS3.3 A.45.2 (Encapsulated CDA)
"""

import re
from collections.abc import Callable, Mapping
from typing import Final
from xml.etree.ElementTree import ParseError, XMLParser  # the target refuses a DOCTYPE, so that no entity is declared
from xml.sax.saxutils import escape, quoteattr

from osler.deidentify.dicom.coded import safe_code
from osler.errors import Malformed

MAX_ELEMENTS: Final = 200_000
MAX_DEPTH: Final = 128
MAX_TEXT: Final = 1 << 20

_NAMESPACE: Final = "{urn:hl7-org:v3}"
_XSI_TYPE: Final = "{http://www.w3.org/2001/XMLSchema-instance}type"
_ROOT: Final = "ClinicalDocument"
_NARRATIVE: Final = frozenset(
    {
        *("text", "content", "paragraph", "list", "item", "caption", "table", "thead", "tbody", "tfoot", "tr", "td"),
        *("th", "colgroup", "col", "br", "sub", "sup", "footnote"),
    }
)
_STRUCTURE: Final = frozenset(
    {
        *("code", "title", "languageCode", "component", "structuredBody", "section", "entry", "organizer"),
        *("observation", "act", "procedure", "substanceAdministration", "entryRelationship", "value", "translation"),
        *("statusCode", "methodCode", "targetSiteCode", "interpretationCode", "routeCode", "doseQuantity"),
        *("low", "high", "numerator", "denominator", "width"),
    }
)
_WITH_TEXT: Final = _NARRATIVE | {"title"}
_SYSTEMS: Final[Mapping[str, str]] = {
    "2.16.840.1.113883.6.1": "LN",
    "2.16.840.1.113883.6.96": "SCT",
    "1.2.840.10008.2.16.4": "DCM",
}
_HL7_SYSTEM: Final = re.compile(r"2\.16\.840\.1\.113883\.5\.\d{1,4}")
_HL7_CODE: Final = re.compile(r"[A-Z]{1,4}|completed|active|aborted|new")
_PLAIN: Final[Mapping[str, re.Pattern[str]]] = {
    "classCode": re.compile(r"[A-Z]{2,12}"),
    "moodCode": re.compile(r"EVN|INT|RQO|PRMS|PRP|DEF|GOL"),
    "typeCode": re.compile(r"[A-Z]{2,5}"),
    "negationInd": re.compile(r"true|false"),
    "inversionInd": re.compile(r"true|false"),
    "nullFlavor": re.compile(r"NI|NA|UNK|ASKU|NAV|NASK|MSK|OTH|PINF|NINF"),
    "value": re.compile(r"[+-]?\d{1,7}(?:\.\d{1,7})?"),
    "unit": re.compile(r"(?:[A-Za-z]{1,3}[23]?|mmHg|mm\[Hg\]|%|\[in_i\]|10\*\d{1,2})?(?:/[A-Za-z]{1,3}[23]?)?"),
    "colspan": re.compile(r"\d\d?"),
    "rowspan": re.compile(r"\d\d?"),
    _XSI_TYPE: re.compile(r"CD|CE|CV|PQ|IVL_PQ|INT|REAL|ST|BL|RTO_PQ_PQ"),
}
_MASKED_ID: Final = '<id nullFlavor="MSK"/>'
_PARTIES: Final = (
    '<effectiveTime nullFlavor="MSK"/>'
    '<confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>'
    f"<recordTarget><patientRole>{_MASKED_ID}</patientRole></recordTarget>"
    f'<author><time nullFlavor="MSK"/><assignedAuthor>{_MASKED_ID}</assignedAuthor></author>'
    f"<custodian><assignedCustodian><representedCustodianOrganization>{_MASKED_ID}"
    "</representedCustodianOrganization></assignedCustodian></custodian>"
)
_OPENING: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<ClinicalDocument xmlns="urn:hl7-org:v3"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    '<typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/><id nullFlavor="MSK"/>'
)


def clean(raw: bytes, clean_text: Callable[[str], str]) -> bytes:
    """Return a CDA document without identifiers, in UTF-8.

    Parameters
    ----------
    raw : bytes
    clean_text : callable
        Takes a text, returns it without identifiers.

    Raises
    ------
    Malformed
        If it is no well-formed CDA document, has a document type declaration, or is past the limits.
    """
    target = _Writer(clean_text)
    parser = XMLParser(target=target)  # noqa: S314 (see the import)
    try:
        parser.feed(raw)
        parser.close()
    except ParseError:
        raise Malformed("the XML is not well-formed") from None
    except (LookupError, ValueError):
        raise Malformed("the XML is in an encoding that is not known") from None
    return target.document()


def notice(words: str) -> bytes:
    """Return a CDA document that says only this."""
    code = '<code code="18748-4" codeSystem="2.16.840.1.113883.6.1"/>'
    text = f"<component><structuredBody><component><section><text>{escape(words)}</text></section></component>"
    return f"{_OPENING}{code}{_PARTIES}{text}</structuredBody></component></ClinicalDocument>".encode()


class _Writer:
    """Writes while the parser reads."""

    def __init__(self, clean_text: Callable[[str], str]) -> None:
        self._clean_text = clean_text
        self._pieces: list[str] = [_OPENING]
        self._open: list[str] = []
        self._skipped = 0
        self._text: list[str] = []
        self._elements = self._length = 0
        self._parties = False

    def doctype(self, name: str, public_id: str, system_id: str) -> None:
        """Refuse a document type declaration: it could declare entities."""
        raise Malformed("the XML has a document type declaration")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Open an element."""
        self._elements += 1
        name = tag.removeprefix(_NAMESPACE)
        if not self._open and not self._skipped and (name != _ROOT or name == tag):
            raise Malformed("the XML is no CDA document")
        if self._elements > MAX_ELEMENTS or len(self._open) + self._skipped > MAX_DEPTH:
            raise Malformed("the XML has too many elements, or is nested too deep")
        self._write_text()
        if self._skipped or not self._is_written(tag, name, attributes):
            self._skipped += 1
            return
        if self._open:
            if name == "component" and len(self._open) == 1:
                self._write_parties()
            self._pieces.append(f"<{name}{self._attributes(name, attributes)}>")
        self._open.append(name)

    def end(self, tag: str) -> None:
        """Close an element."""
        self._write_text()
        if self._skipped:
            self._skipped -= 1
            return
        name = self._open.pop()
        if not self._open:
            self._write_parties()
        self._pieces.append(f"</{name}>")

    def data(self, text: str) -> None:
        """Take text, in pieces as they come."""
        if not self._skipped and self._open and self._open[-1] in _WITH_TEXT:
            self._length += len(text)
            if self._length > MAX_TEXT:
                raise Malformed("the XML has too much text")
            self._text.append(text)

    def close(self) -> None:
        """Take the end of the document."""

    def document(self) -> bytes:
        """Return what was written."""
        return "".join(self._pieces).encode("utf-8")

    def _is_written(self, tag: str, name: str, attributes: Mapping[str, str]) -> bool:
        if name == tag or (self._open and name not in _STRUCTURE | _NARRATIVE):
            return False
        kind = attributes.get(_XSI_TYPE)
        return kind is None or _PLAIN[_XSI_TYPE].fullmatch(kind.strip()) is not None

    def _write_parties(self) -> None:
        if not self._parties:
            self._pieces.append(_PARTIES)
            self._parties = True

    def _write_text(self) -> None:
        text = "".join(self._text)
        self._text.clear()
        if text.strip():
            self._pieces.append(f" {escape(self._clean_text(' '.join(text.split())))} ")

    def _attributes(self, name: str, attributes: Mapping[str, str]) -> str:
        kept = {key: value for key, value in attributes.items() if key in _PLAIN and _PLAIN[key].fullmatch(value)}
        kept.update(self._coded(attributes))
        return "".join(f" {_written(key)}={quoteattr(value)}" for key, value in kept.items())

    def _coded(self, attributes: Mapping[str, str]) -> Mapping[str, str]:
        """Return the code of a public code system, with the meaning that the standard gives it."""
        code, system = attributes.get("code", ""), attributes.get("codeSystem", "")
        if _HL7_CODE.fullmatch(code) and (not system or _HL7_SYSTEM.fullmatch(system)):
            return {"code": code, **({"codeSystem": system} if system else {})}
        scheme = _SYSTEMS.get(system)
        if not scheme or not code:
            return {}
        known = safe_code(code.encode("ascii", "replace"), scheme.encode("ascii"))
        if known.value != code:
            return {"nullFlavor": "MSK"}
        said = known.meaning if known.meaning != code else self._clean_text(attributes.get("displayName", ""))
        return {"code": code, "codeSystem": system, **({"displayName": said} if said else {})}


def _written(key: str) -> str:
    return "xsi:type" if key == _XSI_TYPE else key
