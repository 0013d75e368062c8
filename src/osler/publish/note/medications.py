"""Medications in the sentences of a note, by pattern: what was stopped, is only planned or is another's gives no item.

Orders are not among them: a plan to start something is :mod:`~osler.publish.note.orders`.
"""

import re
from itertools import pairwise
from typing import Final

from osler.clinical.drugs import drugs_in
from osler.clinical.lexicon import Lexicon
from osler.domain.note import Topic
from osler.publish.note.identified import IdentifiedNote
from osler.publish.note.items import Dose, MedicationItem, Timing, of_topics

_NOT_TAKEN: Final = re.compile(
    r"\b(?:not|no|never|denies|denied|stop(?:ped|s)?|discontinu\w*|quit|held|hold(?:ing)?|off|without|avoid\w*|allerg\w*|"
    r"intoleran\w*|used to|previous(?:ly)?|formerly|past|history of|tried|failed|refus\w*|declin\w*|start\w*|begin|"
    r"restart\w*|increase[ds]?|decrease[ds]?|switch\w*|chang\w*|consider\w*|if|would|should|could|may|might|will|plan\w*|"
    r"recommend\w*|prescri\w*|initiat\w*|provided|given|inject\w*|attempt\w*|caus\w*|react\w*|itch\w*|check\w*|"
    r"recheck|levels?|test\w*|trial|taper\w*|wean\w*|options?|discuss\w*|ran out|run out|miss(?:ed|es)?|unsure|"
    r"uncertain|possibly|mother|father|brother|sister|wife|husband|son|daughter|family)\b|n't\b|\?",
    re.IGNORECASE,
)
_UNITS: Final = {
    "mg": ("mg", "mg"),
    "milligram": ("mg", "mg"),
    "mcg": ("mcg", "ug"),
    "microgram": ("mcg", "ug"),
    "g": ("g", "g"),
    "gram": ("g", "g"),
    "ml": ("mL", "mL"),
    "milliliter": ("mL", "mL"),
    "unit": ("units", "[iU]"),
    "meq": ("mEq", "meq"),
    "tablet": ("tablet", "{tbl}"),
    "capsule": ("capsule", "{capsule}"),
    "puff": ("puff", "{puff}"),
    "drop": ("drop", "[drp]"),
}
_DOSE: Final = re.compile(
    r"\b(\d{1,5}(?:\.\d{1,3})?)\s*(mcg|mg|milligrams?|micrograms?|grams?|g|ml|milliliters?|units?|meq|tablets?|"
    r"capsules?|puffs?|drops?)\b(?!\s*/)",
    re.IGNORECASE,
)
_TIMES: Final = {
    **{"once": 1, "one time": 1, "twice": 2, "two times": 2, "three times": 3, "four times": 4},
    **{f"{number} times": number for number in range(2, 9)},
}
_OFTEN: Final = re.compile(
    r"\b(?:(?P<times>once|one time|twice|(?:two|three|four|[2-8]) times)\s*(?:a|per|each|every)?\s*"
    r"(?P<per>day|daily|week|weekly)|every\s+(?P<hours>\d{1,2})\s+hours?|every\s+other\s+(?P<other>day)|"
    r"(?<!times )(?P<day>daily|a day|per day|each day|every day|every morning|every evening|every night|nightly|"
    r"at night|at bedtime|in the morning|q\.?d|qhs)|(?P<bid>b\.?i\.?d)|(?P<tid>t\.?i\.?d)|(?P<qid>q\.?i\.?d)|"
    r"(?<!times )(?P<week>weekly|every week))\b",
    re.IGNORECASE,
)
_AS_NEEDED: Final = re.compile(r"\b(?:as needed|prn|when needed)\b", re.IGNORECASE)
_LONGEST: Final = 120


def medications(note: IdentifiedNote, lexicon: Lexicon) -> tuple[MedicationItem, ...]:
    """Return the medications that the patient takes, each once, under the name that the note calls it first.

    Parameters
    ----------
    note : IdentifiedNote
        Its sentences of the topic medications are read.
    lexicon : Lexicon
        Knows the names of drugs. A class of drugs, as an antibiotic, gives no item.
    """
    found: dict[str, MedicationItem] = {}
    twice: set[str] = set()
    for statement, text in of_topics(note, Topic.MEDICATIONS):
        for clause in re.split(r"[;\n]|(?<=[a-z\s])\.(?=\s|$)", text):
            if _NOT_TAKEN.search(clause):
                continue
            for drug, item in _in_clause(statement, clause, lexicon):
                known = found.setdefault(drug, item)
                if (known.dose, known.timing) != (item.dose, item.timing):
                    twice.add(drug)
    return tuple(
        item if drug not in twice else MedicationItem(item.statement, item.name) for drug, item in found.items()
    )


def _in_clause(statement: str, clause: str, lexicon: Lexicon) -> list[tuple[str, MedicationItem]]:
    drugs = [drug for drug in drugs_in(clause, lexicon) if not drug.is_class]
    ends = [*(drug.start for drug in drugs), len(clause)]
    return [
        (drug.name, taken(statement, drug.said, clause[drug.end : stop]))
        for drug, (_, stop) in zip(drugs, pairwise(ends), strict=True)
    ]


def taken(statement: str, name: str, said: str) -> MedicationItem:
    """Return a medication with what is said of how it is taken, as far as that is clear."""
    doses = list(_DOSE.finditer(said))
    often = list(_OFTEN.finditer(said))
    needed = _AS_NEEDED.search(said)
    if len(doses) > 1 or len(often) > 1:  # two doses of one drug are for a person to sort out
        return MedicationItem(statement, name)
    spans = [match.span() for match in (*doses, *often, *([needed] if needed else []))]
    start, end = min((s for s, _ in spans), default=0), max((e for _, e in spans), default=0)
    instructions = " ".join(said[start:end].split())
    return MedicationItem(
        statement,
        name,
        instructions if len(instructions) <= _LONGEST else "",
        _dose(doses[0]) if doses else None,
        _timing(often[0]) if often else None,
        needed is not None,
    )


def _dose(match: re.Match[str]) -> Dose:
    word = match[2].lower()
    unit, code = _UNITS.get(word) or _UNITS[word.rstrip("s")]
    return Dose(match[1], unit, code)


def _timing(match: re.Match[str]) -> Timing | None:
    found = {name: value.lower() for name, value in match.groupdict().items() if value}
    if "times" in found:
        return Timing(_TIMES[" ".join(found["times"].split())], 1, "wk" if found["per"].startswith("week") else "d")
    if "hours" in found:
        return Timing(1, int(found["hours"]), "h") if int(found["hours"]) else None
    ((name, _),) = found.items()
    return {
        "other": Timing(1, 2, "d"),
        "day": Timing(1, 1, "d"),
        "bid": Timing(2, 1, "d"),
        "tid": Timing(3, 1, "d"),
        "qid": Timing(4, 1, "d"),
        "week": Timing(1, 1, "wk"),
    }[name]
