"""Text of DICOM values by Specific Character Set (0008,0005), strict in both directions.

Code extensions are followed whether or not they are declared, since a reader downstream follows them too. Bytes that
the character set does not explain are never guessed at.

References
----------
DICOM PS3.5 section 6.1.2 and annexes H to K, PS3.3 C.12.1.1.2 (defined terms); ISO/IEC 2022
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_ASCII: Final = "ascii"
_NUMBERED: Final = {
    "13": "shift_jis",
    "100": "latin_1",
    "101": "iso8859_2",
    "109": "iso8859_3",
    "110": "iso8859_4",
    "126": "iso8859_7",
    "127": "iso8859_6",
    "138": "iso8859_8",
    "144": "iso8859_5",
    "148": "iso8859_9",
    "166": "tis_620",
    "203": "iso8859_15",
    "87": "iso2022_jp",
    "159": "iso2022_jp_2",
    "149": "euc_kr",
    "58": "gb2312",
}
_TERMS: Final[Mapping[str, str]] = {
    "": _ASCII,
    "ISO_IR 6": _ASCII,
    "ISO 2022 IR 6": _ASCII,
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 GBK": "gbk",
    "ISO 2022 58": "gb2312",
    **{f"ISO_IR {number}": codec for number, codec in _NUMBERED.items()},
    **{f"ISO 2022 IR {number}": codec for number, codec in _NUMBERED.items()},
}
_ESCAPES: Final[Mapping[bytes, str]] = {
    b"(B": _ASCII,
    b"(J": _ASCII,
    b")I": "shift_jis",
    b"$B": "iso2022_jp",
    b"$@": "iso2022_jp",
    b"$(D": "iso2022_jp_2",
    b"$)C": "euc_kr",
    b"$)A": "gb2312",
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "tis_620",
    b"-b": "iso8859_15",
}
_ESCAPE_OF: Final = {
    codec: b"\x1b" + code for code, codec in _ESCAPES.items() if code[:1] in b"-)" or code[:2] == b"$)"
}
_SWITCHES_BACK: Final = frozenset({"iso2022_jp", "iso2022_jp_2"})
"""Codecs that write their escape sequences themselves, with the way back to ASCII."""

_SINGLE_BYTE: Final = frozenset(c for c in _TERMS.values() if c.startswith(("iso8859", "latin", "tis"))) | {_ASCII}
_PART: Final = re.compile(rb"\x1b(\$[()][A-D]|\$[B@]|[()\-][A-Za-z])")
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]+|[\x00-\x7f]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


def codecs_of(character_set: bytes) -> tuple[str, ...]:
    """Return Python's names for the values of Specific Character Set; empty when one of them is not known."""
    terms = [term.strip(b" \0").decode("ascii", "replace") for term in character_set.split(b"\\")]
    codecs = tuple(_TERMS.get(term, "") for term in terms)
    return codecs if all(codecs) else ()


def decode(raw: bytes, character_set: bytes) -> str | None:
    """Decode a value as its character set says.

    Returns
    -------
    str or None
        Without trailing padding. None when bytes do not fit the declaration, when they are control codes, or when
        they can only be UTF-8 although one byte a character was declared: the declaration is then wrong.
    """
    raw = raw.rstrip(b" \0")
    codecs = codecs_of(character_set)
    if not codecs or (codecs[0] in _SINGLE_BYTE and not raw.isascii() and _is_utf_8(raw)):
        return None
    try:
        text = "".join(_decoded(raw, codecs[0]))
    except (UnicodeDecodeError, LookupError):
        return None
    return None if _CONTROL.search(text) or "\x1b" in text else text


def _decoded(raw: bytes, codec: str) -> Iterator[str]:
    pieces = _PART.split(raw)
    yield pieces[0].decode(codec)
    for escape, part in zip(pieces[1::2], pieces[2::2], strict=True):
        codec = _ESCAPES[escape]
        # the codecs of JIS X 0208 and 0212 read their own escape sequences
        yield (b"\x1b" + escape + part if codec in _SWITCHES_BACK else part).decode(codec)


def _is_utf_8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def encode(text: str, character_set: bytes) -> bytes:
    """Encode a text in a character set; characters that it does not have are left out.

    Parameters
    ----------
    text : str
    character_set : bytes
        Specific Character Set (0008,0005) as it stands.
    """
    codecs = codecs_of(character_set) or (_ASCII,)
    return b"".join(_encoded(run, codecs) for run in _FOREIGN.findall(text))


def _encoded(run: str, codecs: Sequence[str]) -> bytes:
    if run.isascii():
        return run.encode("ascii")
    for place, codec in enumerate(codecs):
        try:
            content = run.encode(codec)
        except UnicodeEncodeError:
            continue
        return (_ESCAPE_OF.get(codec, b"") if place and codec not in _SWITCHES_BACK else b"") + content
    return b"".join(_encoded(c, codecs) for c in run) if len(run) > 1 else b""
