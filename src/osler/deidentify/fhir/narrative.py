"""Narratives: their words through the text engine, nothing of their mark-up.

The text of a block is joined before it is looked at: mark-up inside a name must not hide it. What comes back is one
paragraph for each line; tables become lines.
"""

from osler.deidentify.free_text import TextDeidentifier
from osler.deidentify.marked_up import html_words, paragraphs


def clean_narrative(xhtml: str, text: TextDeidentifier) -> str:
    """Return a ``div`` of plain paragraphs, empty when no text may go on.

    References
    ----------
    HL7 FHIR R4, 2.1.22 (Narrative)
    """
    made = paragraphs(text.deidentify(html_words(xhtml)))
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{made}</div>' if made else ""
