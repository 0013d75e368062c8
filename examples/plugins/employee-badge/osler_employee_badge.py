"""An example of a recogniser plugin: the badge numbers of one hospital's staff, as in ``seen by E-123456``."""

import re
from collections.abc import Iterator

from osler.deidentify.text import Category, Document, Span

BADGE = re.compile(r"(?<![\w-])e ?- ?[0-9]{6}(?![\w-])")
"""All repeats are bounded, so that it runs in linear time on any text."""


class EmployeeBadge:
    """Finds ``E-`` and six digits that stand alone."""

    def spans(self, document: Document) -> Iterator[Span]:
        """Return the badge numbers; offsets are those of the shadow text, which is normalised."""
        for match in BADGE.finditer(document.shadow.lower):
            yield Span(match.start(), match.end(), Category.OTHER_ID, 0.9, "employee-badge")
