"""Allergies in the sentences of a note, by pattern: what is denied, another's, or of no known substance gives no item.

"No known allergies" gives none either: that a list is complete is for a person to say.
"""

import re
from collections.abc import Iterator
from typing import Final

from osler.clinical.drugs import drugs_in
from osler.clinical.lexicon import Lexicon
from osler.domain.note import Topic
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.items import AllergyItem, of_topics

_NOT_SO: Final = re.compile(
    r"\b(?:no|not|never|denie[sd]|denies|without|nkda|nka|negative|unsure|uncertain|possibl[ey]|may|might|mother|father|"
    r"brother|sister|wife|husband|son|daughter|family|outgr[eo]wn?|resolved|unlikely|question(?:able)?|if)\b|n't\b|\?",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(
    r"\b(?:allerg(?:ic|y|ies)\s*(?:to|:|include[sd]?)|allergies\b)\s*(?P<what>[^.;\n]*)", re.IGNORECASE
)
_BEFORE: Final = re.compile(r"\b(?P<what>[A-Za-z][A-Za-z-]+)\s+allerg(?:y|ies)\b", re.IGNORECASE)
_REACTS: Final = re.compile(
    r"\b(?:which|that|with|causes?|causing|caused|gives?|gave|gets?|got|reaction|develop\w*|\()", re.IGNORECASE
)
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z-]+")
_OTHER: Final = {
    **dict.fromkeys(
        (
            "peanut",
            "peanuts",
            "shellfish",
            "egg",
            "eggs",
            "milk",
            "soy",
            "wheat",
            "walnuts",
            "strawberries",
            "grapefruit",
        ),
        "food",
    ),
    **dict.fromkeys(("latex", "pollen", "ragweed", "dander", "mold", "bees"), "environment"),
    **dict.fromkeys(("sulfa", "contrast", "penicillins", "cephalosporins"), "medication"),
}
_MANIFESTATIONS: Final = (
    "anaphylaxis", "hives", "rash", "itching", "swelling", "angioedema", "wheezing", "nausea", "vomiting", "diarrhea",
    "shortness of breath", "throat swelling", "facial swelling",
)  # fmt: skip
_MANIFESTATION: Final = re.compile(
    rf"\b(?:{'|'.join(sorted(_MANIFESTATIONS, key=len, reverse=True))})\b", re.IGNORECASE
)


def allergies(note: IdentifiedNote, lexicon: Lexicon) -> tuple[AllergyItem, ...]:
    """Return what the patient is allergic to, each once.

    Parameters
    ----------
    note : IdentifiedNote
        Its sentences of the topic allergies are read, and those of history and medications.
    lexicon : Lexicon
        Knows the names of drugs.
    """
    topics = (Topic.ALLERGIES, Topic.MEDICATIONS, Topic.PAST_MEDICAL, Topic.HISTORY)
    found: dict[str, AllergyItem] = {}
    for statement, text in of_topics(note, *topics):
        for clause in re.split(r"[;\n]|\.(?=\s|$)|\bbut\b", text):
            if not _NOT_SO.search(clause):
                for item in _in_clause(statement, clause, lexicon):
                    found.setdefault(item.substance, item)
    return tuple(found.values())


def _in_clause(statement: str, clause: str, lexicon: Lexicon) -> Iterator[AllergyItem]:
    match = _NAMED.search(clause) or _BEFORE.search(clause)
    if match is None:
        return
    reaction = _REACTS.search(match["what"])
    listed = match["what"][: reaction.start()] if reaction else match["what"]
    drugs = {drug.start: (drug.said, "medication") for drug in drugs_in(listed, lexicon) if not drug.is_class}
    others = {
        one.start(): (one[0].lower(), category)
        for one in _WORD.finditer(listed)
        if (category := _OTHER.get(one[0].lower()))
    }
    substances = [substance for _, substance in sorted((others | drugs).items())]
    manifestations = tuple(
        dict.fromkeys(one[0].lower() for one in _MANIFESTATION.finditer(clause[match.start("what") :]))
    )
    for word, category in substances:  # which of several causes which reaction is for a person to say
        yield AllergyItem(statement, word, category, manifestations if len(substances) == 1 else ())
