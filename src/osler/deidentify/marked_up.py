"""Documents inside messages: their words through the text engine, then the plainest document of the same type.

Mark-up, fonts, pictures, headers and what a document says of itself (title, author) do not go on.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from html import escape, unescape
from typing import Final

from osler.deidentify.dicom import cda
from osler.deidentify.free_text import TextDeidentifier
from osler.errors import Malformed

_BLOCKS: Final = frozenset(
    {
        "address",
        "article",
        "br",
        "blockquote",
        "caption",
        "dd",
        "div",
        "dl",
        "dt",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "tbody",
        "tfoot",
        "thead",
        "tr",
        "ul",
    }
)
_CELLS: Final = frozenset({"td", "th"})
_SILENT: Final = frozenset({"script", "style"})
_TAG: Final = re.compile(r"/?([A-Za-z0-9]*)")
_LONG_REFERENCE: Final = re.compile(r"&#[xX]?[0-9A-Fa-f]{8,};?")


def html_words(xhtml: str) -> str:
    """Return the text of HTML in lines, in linear time, whatever it holds; what is not closed is left out."""
    parts: list[str] = []
    at = 0
    while at < len(xhtml):
        opened = xhtml.find("<", at)
        if opened < 0:
            parts.append(xhtml[at:])
            break
        parts.append(xhtml[at:opened])
        comment = xhtml.startswith("<!--", opened)
        closed = xhtml.find("-->" if comment else ">", opened)
        if closed < 0:
            break
        tag = "" if comment else _TAG.match(xhtml, opened + 1, closed)[1].lower()  # type: ignore[index]
        at = closed + (3 if comment else 1)
        if tag in _SILENT and xhtml[opened + 1] != "/":
            at = xhtml.find("</", at)
            if at < 0:
                break
        parts.append("\n" if tag in _BLOCKS else " " if tag in _CELLS else "")
    words = unescape(_LONG_REFERENCE.sub("", "".join(parts)))
    lines = [" ".join(line.split()) for line in words.split("\n")]
    return "\n".join(line for line in lines if line)


def paragraphs(text: str) -> str:
    """Return a text as HTML, one paragraph for each line."""
    return "".join(f"<p>{escape(line)}</p>" for line in text.split("\n") if line.strip())


_RTF: Final = re.compile(
    r"\\([a-z]{1,32})(-?[0-9]{1,9})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z'])|([{}])|[\r\n]+|([^\\{}\r\n]+)|\\"
)
_RTF_BREAKS: Final = {"par": "\n", "line": "\n", "row": "\n", "sect": "\n", "page": "\n", "tab": " ", "cell": " "}
_RTF_SIGNS: Final = {"emdash": "-", "endash": "-", "lquote": "'", "rquote": "'", "ldblquote": '"', "rdblquote": '"'}
_RTF_SILENT: Final = frozenset(
    {
        *("fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "bin", "fldinst", "generator", "themedata"),
        *("header", "headerl", "headerr", "headerf", "footer", "footerl", "footerr", "footerf"),
        *("listtable", "listoverridetable", "rsidtbl", "xmlnstbl"),
    }
)


def rtf_words(source: str) -> str:
    """Return the text of an RTF document in lines, in linear time; a picture or a binary part gives nothing."""
    return "".join(_rtf_pieces(source))


def _rtf_pieces(source: str) -> Iterator[str]:
    silent = 0  # depth at which a group began whose text is none of the document's
    depth = 0
    skip = 0  # characters that stand beside a Unicode character for old readers
    beside = 1
    for match in _RTF.finditer(source):
        word, number, octet, symbol, brace, plain = match.groups()
        if brace:
            depth += 1 if brace == "{" else -1
            silent = 0 if silent > depth else silent
            skip = 0
        elif symbol == "*" or word in _RTF_SILENT:
            silent = silent or max(depth, 1)
        elif word == "uc":
            beside = min(int(number or 1), 8)
        elif silent:
            continue
        elif word == "u" and number:
            skip = beside
            yield _character(int(number) % 65536)
        elif word:
            yield _RTF_BREAKS.get(word, "") or _RTF_SIGNS.get(word, "")
        elif octet or plain or symbol:
            shown = plain or (bytes.fromhex(octet).decode("cp1252", "replace") if octet else _symbol(symbol))
            yield shown[skip:]
            skip = max(0, skip - len(shown))


def _symbol(symbol: str) -> str:
    return {"~": " ", "_": "-"}.get(symbol, symbol if symbol in "\\{}" else "")


def _character(code: int) -> str:
    return "" if 0xD800 <= code < 0xE000 else chr(code)


def _as_rtf(text: str) -> str:
    parts = []
    for character in text:
        if character == "\n":
            parts.append("\\par\n")
        elif character in "\\{}":
            parts.append(f"\\{character}")
        elif character.isascii():
            parts.append(character)
        else:
            units = character.encode("utf-16-be")
            codes = (int.from_bytes(units[i : i + 2], "big", signed=True) for i in range(0, len(units), 2))
            parts += [f"\\u{code} " for code in codes]
    return f"{{\\rtf1\\ansi\\uc0 {''.join(parts)}\\par}}"


def _as_html(text: str) -> str:
    return f'<html><head><meta charset="utf-8"></head><body>{paragraphs(text)}</body></html>'


_CDA: Final = frozenset({"text/xml", "application/xml", "application/hl7-cda+xml"})
_Form = tuple[Callable[[str], str], Callable[[str], str]]
_FORMS: Final[Mapping[str, _Form]] = {
    "text/plain": (str, str),
    "text/html": (html_words, _as_html),
    "text/rtf": (rtf_words, _as_rtf),
    "application/rtf": (rtf_words, _as_rtf),
}


def clean_document(content: bytes, media_type: str, text: TextDeidentifier) -> bytes | None:
    """Return a document of the same type without identifiers; None when it cannot be read, or no word may go on.

    Parameters
    ----------
    content : bytes
        UTF-8 (RTF: ASCII, as its standard has it).
    media_type : str
        With or without parameters. Anything but plain text, HTML, RTF and CDA gives None: what a PDF or a picture shows
        cannot be told from its text.
    text : TextDeidentifier
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind in _CDA:
        try:
            return cda.clean(content, text.deidentify)
        except Malformed:
            return None
    form = _FORMS.get(kind)
    if form is None:
        return None
    read, write = form
    try:
        words = read(content.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    cleaned = text.deidentify(words)
    return write(cleaned).encode() if cleaned.strip() else None
