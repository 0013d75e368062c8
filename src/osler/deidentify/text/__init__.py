"""Clinical text: identifiers found as typed spans, and replaced by a named method.

Examples
--------
>>> from osler.deidentify.text import deidentify_text
>>> deidentify_text("MRN: 8675309, seen 3/14/2021")
'MRN: [MRN-1], seen 2021'
"""

from osler.deidentify.text.engine import Deidentifier, Document, Recogniser, Result, Token, deidentify_text
from osler.deidentify.text.spans import Category, Span

__all__ = ["Category", "Deidentifier", "Document", "Recogniser", "Result", "Span", "Token", "deidentify_text"]
