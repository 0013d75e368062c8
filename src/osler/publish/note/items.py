"""Structured items that go into the chart beside the note: problems, medications, allergies, vital signs, orders.

Each names the statement that it comes from. They are found by :mod:`~osler.publish.note.vital_signs`,
:mod:`~osler.publish.note.medications`, :mod:`~osler.publish.note.allergies`, or given by hand.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from osler.domain.codes import Code
from osler.domain.note import CodeSuggestion, Topic
from osler.domain.orders import Order
from osler.publish.note.identified import IdentifiedNote

_ASSESSED: Final = (Topic.DIAGNOSIS, Topic.ASSESSMENT)
_UNSURE: Final = re.compile(
    r"\b(?:i think|looks like|seems|appears|"
    r"possibl[ey]|probabl[ey]|likely|suspect(?:ed|s)?|suspicio(?:n|us)|presum(?:ed|ptive|ably)|rule[- ]out|r/o|"
    r"concern(?:ing)?|questionable|may|might|could|versus|vs|differential|versus|cannot exclude|if)\b|\?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, repr=False)
class ProblemItem:
    """A problem that the note assesses.

    Parameters
    ----------
    statement : str
        Id of the statement that it comes from.
    text : str
    certain : bool
        False where the note only supposes it.
    codes : tuple of Code
        Of scheme ``ICD10CM``; those that a person accepted.
    """

    statement: str
    text: str
    certain: bool = True
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Dose:
    """An amount of a medication at a time: ``code`` is its UCUM unit, or empty for what UCUM has no unit for."""

    value: str
    unit: str
    code: str


@dataclass(frozen=True, slots=True, repr=False)
class Timing:
    """How often: ``frequency`` times in ``period`` of ``unit`` (UCUM, ``d``, ``h``, ``wk``)."""

    frequency: int
    period: int
    unit: str


@dataclass(frozen=True, slots=True, repr=False)
class MedicationItem:
    """A medication that the patient takes.

    Parameters
    ----------
    statement, name : str
    instructions : str
        Dose and frequency as the note says them; empty when it says none.
    dose : Dose or None
    timing : Timing or None
    as_needed : bool
    """

    statement: str
    name: str
    instructions: str = ""
    dose: Dose | None = None
    timing: Timing | None = None
    as_needed: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class AllergyItem:
    """Something that the patient is allergic to.

    Parameters
    ----------
    statement, substance : str
    category : {"medication", "food", "environment"}
    reactions : tuple of str
        Manifestations, as the note calls them.
    """

    statement: str
    substance: str
    category: str
    reactions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Measure:
    """One figure: LOINC code, value as text (its digits are kept), unit as printed and as UCUM."""

    code: Code
    value: str
    unit: str
    ucum: str


@dataclass(frozen=True, slots=True, repr=False)
class VitalItem:
    """A vital sign that was measured in the encounter.

    Parameters
    ----------
    statement : str
    codes : tuple of Code
        LOINC; of a pulse oximetry two.
    measures : tuple of Measure
        One, or the two of a blood pressure.
    """

    statement: str
    codes: tuple[Code, ...]
    measures: tuple[Measure, ...]


@dataclass(frozen=True, slots=True, repr=False)
class OrderItem:
    """An order that a person kept: it goes out as a proposal, and nobody has placed it."""

    order: Order

    @property
    def statement(self) -> str:
        """Id of the statement that says most of it."""
        return self.order.statements[0]


Item = ProblemItem | MedicationItem | AllergyItem | VitalItem | OrderItem


def statements_of(item: Item) -> tuple[str, ...]:
    """Return the ids of the statements that an item comes from."""
    return item.order.statements if isinstance(item, OrderItem) else (item.statement,)


def problems(
    note: IdentifiedNote, accepted: Iterable[CodeSuggestion] = (), left: Iterable[CodeSuggestion] = ()
) -> tuple[ProblemItem, ...]:
    """Return the problems of a note: the headings of its plan, the codes that a person accepted, and what it assesses.

    Parameters
    ----------
    note : IdentifiedNote
    accepted : iterable of CodeSuggestion
        Of ICD-10-CM; one whose statement is not in the note is left out.
    left : iterable of CodeSuggestion
        Those that nobody accepted: where the assessment has the statement as it was drafted its problem is named, and
        has no code.
    """
    texts = {statement.id: statement.text for statement in note.statements()}
    headings = {
        s.id: section.problem for section in note.sections if section.problem.strip() for s in section.statements
    }
    codes: dict[str, list[Code]] = {}
    first: dict[str, str] = {}
    for one in accepted:
        if one.statement in texts:
            name = headings.get(one.statement, "") or one.display
            first.setdefault(name, one.statement)
            code = Code(one.code, "ICD10CM", one.display)
            if code not in codes.setdefault(name, []):
                codes[name].append(code)
    for statement, heading in headings.items():
        first.setdefault(heading, statement)
    assessed = {one.id for one in note.statements() if one.topic in _ASSESSED and not one.edited}
    for one in left:
        if one.statement in assessed and one.statement not in first.values():
            first.setdefault(one.display, one.statement)
    return tuple(
        ProblemItem(statement, name, not _is_supposed(name, texts[statement], headings), tuple(codes.get(name, ())))
        for name, statement in first.items()
    )


def of_topics(note: IdentifiedNote, *topics: Topic) -> Iterable[tuple[str, str]]:
    """Yield id and text of the statements of some topics."""
    return ((one.id, one.text) for one in note.statements() if one.topic in topics)


def _is_supposed(name: str, text: str, headings: dict[str, str]) -> bool:
    """Tell whether a problem is only supposed: a heading speaks for itself, a code for the statement it came from."""
    return bool(_UNSURE.search(name if name in headings.values() else text))
