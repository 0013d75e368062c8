"""Names of drugs in a sentence, with their places in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from osler.clinical.lexicon import Kind, Lexicon

_WORD: Final = re.compile(r"[A-Za-z0-9]+")
_CLASS: Final = re.compile(
    r"\b(?:antacid|antibiotic|antidepressant|antiemetic|antihistamine|antihypertensive|thinner|chemotherapy|laxative|nsaid|"
    r"opioid|painkiller|vaccine|shot|statin|inhibitor|blocker|medication|diuretic|inhaler|pill|steroid|relaxant|supplement)\b|^vitamins?$"
)


@dataclass(frozen=True, slots=True, repr=False)
class Drug:
    """A drug that a sentence names.

    Parameters
    ----------
    start, end : int
        Place in the sentence; ``end`` is exclusive.
    said : str
        As the sentence calls it, in lower case.
    name : str
        As the lexicon calls it: the generic name where that is known.
    """

    start: int
    end: int
    said: str
    name: str

    @property
    def is_class(self) -> bool:
        """Whether it is a class of drugs, or a form, and no drug."""
        return _CLASS.search(self.name) is not None


def drugs_in(text: str, lexicon: Lexicon) -> Iterator[Drug]:
    """Yield the drugs that a text names, in order."""
    words = list(_WORD.finditer(text))
    for named in lexicon.find([word[0].lower() for word in words]):
        if named.concept.kind is Kind.DRUG:
            start, end = words[named.start].start(), words[named.end - 1].end()
            yield Drug(start, end, text[start:end].lower(), named.concept.name)
