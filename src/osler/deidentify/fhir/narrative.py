"""Narratives: their words through the text engine, nothing of their mark-up.

The text of a block is joined before it is looked at: mark-up inside a name must not hide it. What comes back is one
paragraph for each line; tables become lines.
"""

import re
from html import escape, unescape
from typing import Final

from osler.deidentify.free_text import TextDeidentifier

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


def _words(xhtml: str) -> str:
    """Return the text of a fragment in linear time, whatever it holds; what is not closed is left out."""
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
    return unescape(_LONG_REFERENCE.sub("", "".join(parts)))


def clean_narrative(xhtml: str, text: TextDeidentifier) -> str:
    """Return a ``div`` of plain paragraphs, empty when no text may go on.

    References
    ----------
    HL7 FHIR R4, 2.1.22 (Narrative)
    """
    lines = [" ".join(line.split()) for line in _words(xhtml).split("\n")]
    cleaned = text.deidentify("\n".join(line for line in lines if line))
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in cleaned.split("\n") if line.strip())
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>' if paragraphs else ""
