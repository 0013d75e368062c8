"""ICD-10-CM codes that a note suggests: leaf codes only, each from an affirmed statement, and none when unsure.

A table of problems (``data/icd-10-cm.csv``) names each code in the words of clinicians and of patients. A statement
suggests a code when it says the problem and nothing beside it that would make it another: no negation, no doubt (what
is "probable" is not coded in ambulatory care), nobody else's, no qualifier that the table does not know, and the side
where the code has one.

References
----------
ICD-10-CM Official Guidelines for Coding and Reporting, I.B.2 (highest level of detail), I.B.13 (laterality),
IV.H (uncertain diagnosis)
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from osler.domain.note import Checked, CodeSuggestion, Statement, Topic
from osler.draft.facts.context import Contexts, Flag, read_contexts
from osler.draft.facts.words import Word, read_words

SYSTEM: Final = "http://hl7.org/fhir/sid/icd-10-cm"
CURRENT: Final = frozenset({Topic.DIAGNOSIS, Topic.ASSESSMENT})
"""Topics that say what the patient has now."""

_SIDES: Final = {"left": "left", "right": "right", "bilateral": "both", "both": "both", "bilaterally": "both"}
_UNREAD: Final = frozenset(["the", "his", "her", "their", "your", "my", "-", "/", "(", ")"])
_BAD: Final = (
    Flag.NEGATED | Flag.POSSIBLE | Flag.HYPOTHETICAL | Flag.ASKED | Flag.HISTORICAL | Flag.ALLERGY | Flag.STOPPED
)
_OF_THE_PAST: Final = frozenset(["history", "status", "prior", "previous", "former", "ex", "old", "healed", "personal"])
_UNSURE: Final = frozenset(
    """
    likely unlikely probable probably possible possibly presumed suspected suspect suspicion suspicious questionable
    rule ruled versus vs differential compatible consistent concern concerning concerned worried versus resolved
    risk screening screen prevent prevention prophylaxis if unless may might could or mother father brother sister
    family maternal paternal denies denied no not without never negative exclude excluded
    """.split()  # noqa: SIM905
)
"""Words that, anywhere before a problem in its sentence, leave it open whether the patient has it."""

_BEFORE: Final = frozenset(
    """
    mild moderate severe stable unstable controlled uncontrolled well poorly new recent ongoing persistent known
    underlying worsening improving recurrent intermittent longstanding current currently existing comorbid symptomatic
    asymptomatic primary main patient has have had with of for and is are was as about regarding diagnosis diagnosed
    assessment impression problem problems including include includes plus also confirmed shows showed reveals this that
    these from to a an her his on in continued 1 2 3 4 5 6 7 8 9 first second third left right
    bilateral both
    """.split()  # noqa: SIM905
)
"""What may stand right before a problem without making it another one; an unknown adjective may."""

_AFTER: Final = frozenset(
    """
    is are was were has have and in on of that which who today since for at by this now currently well stable controlled
    uncontrolled poorly improving improved worsening worse remains remained continues continued managed treated present
    as but she he they the her his left right bilateral both bilaterally after status
    """.split()  # noqa: SIM905
)
"""What may stand right after a problem; "with" and "due to" may change its code, and a noun its meaning."""

_JOINING: Final = frozenset(["with", "to", "from"])
_REACH: Final = 5


@dataclass(frozen=True, slots=True)
class _Code:
    code: str
    display: str
    kind: str
    side: str


@dataclass(frozen=True, slots=True)
class _Match:
    """A problem that a statement says, as places in its words."""

    start: int
    end: int
    codes: tuple[_Code, ...]


def suggest_codes(checked: Checked) -> tuple[CodeSuggestion, ...]:
    """Return the codes that the statements that passed suggest, each once, with all its evidence.

    A problem of the past medical history is suggested when it is one that stays. A symptom is suggested only where its
    statement names no disease.
    """
    suggestions: dict[str, CodeSuggestion] = {}
    for statement in checked.draft.statements():
        if not checked.passes(statement):
            continue
        for code in _codes_of(statement):
            made = CodeSuggestion(SYSTEM, code.code, code.display, statement.id, statement.evidence)
            first = suggestions.setdefault(code.code, made)
            both = tuple(dict.fromkeys((*first.evidence, *made.evidence)))
            suggestions[code.code] = replace(first, evidence=both)
    return tuple(suggestions.values())


def _codes_of(statement: Statement) -> list[_Code]:
    if statement.topic in CURRENT:
        kinds = {"chronic", "disease", "symptom"}
    elif statement.topic is Topic.PAST_MEDICAL:
        kinds = {"chronic"}
    else:
        return []
    words = read_words(statement.text)
    texts = [word.text for word in words]
    matches = list(_matches(texts))
    found = [code for match in matches if (code := _code(match, matches, words))]
    found = [code for code in found if code.kind in kinds]
    diseases = [code for code in found if code.kind != "symptom"]
    return diseases or found


def _matches(texts: Sequence[str]) -> Iterator[_Match]:
    """Yield the problems that are named, longest names first; none overlaps another."""
    kept = [i for i, text in enumerate(texts) if text not in _UNREAD]
    sideless = [i for i in kept if texts[i] not in _SIDES]
    found = [*_named(texts, kept, sided=False), *_named(texts, sideless, sided=True)]
    taken: set[int] = set()
    for match in sorted(found, key=lambda m: (m.start - m.end, m.start)):
        places = set(range(match.start, match.end))
        if taken.isdisjoint(places):
            taken |= places
            yield match


def _named(texts: Sequence[str], places: Sequence[int], *, sided: bool) -> Iterator[_Match]:
    table = _table(sided)
    longest = max(map(len, table))
    words = [texts[place] for place in places]
    for first in range(len(words)):
        for last in range(min(len(words), first + longest), first, -1):
            codes = table.get(tuple(words[first:last]))
            if codes:
                yield _Match(places[first], places[last - 1] + 1, codes)
                break


def _code(match: _Match, matches: Sequence[_Match], words: Sequence[Word]) -> _Code | None:
    """Return the code of a match, None when its sentence leaves anything open."""
    texts = [word.text for word in words]
    if not _affirmed(match, words, read_contexts(words, spoken=False)) or not _alone(match, matches, texts):
        return None
    if len(match.codes) == 1 and not match.codes[0].side:
        return match.codes[0]
    side = _side(match, matches, texts)
    return next((code for code in match.codes if code.side == side), None)


def _affirmed(match: _Match, words: Sequence[Word], contexts: Contexts) -> bool:
    texts = [word.text for word in words]
    start = max((i + 1 for i, text in enumerate(texts[: match.start]) if text in {".", ";", "\n", "!"}), default=0)
    end = next((i for i in range(match.end, len(texts)) if texts[i] in {".", ";", "\n", "!"}), len(texts))
    past = texts[match.start] in _OF_THE_PAST
    bad = int(_BAD & ~Flag.HISTORICAL if past else _BAD)
    named = range(match.start, match.end)
    own = next((i for i in named if texts[i] in {"non", "without"}), None)
    if own is not None:
        named = range(match.start, own)  # the name's own negation
    if any(contexts.flags[i] & bad or contexts.kin[i] for i in named):
        return False
    before, after = texts[start : match.start], texts[match.end : end]
    return (
        _UNSURE.isdisjoint(before)
        and "?" not in texts[start : end + 1]
        and {"resolved", "ruled", "unlikely"}.isdisjoint(after)
    )


def _alone(match: _Match, matches: Sequence[_Match], texts: Sequence[str]) -> bool:
    """Tell whether the words right before and after a problem leave it what it is."""
    place = next((i for i in range(match.start - 1, -1, -1) if texts[i] not in _UNREAD), -1)
    before = texts[place] if place >= 0 else ""
    after = texts[match.end] if match.end < len(texts) else ""
    if before in _JOINING and any(other.end in (place, place - 1) for other in matches):
        return False  # "hypertension with chronic kidney disease" is one code, and neither of the two
    pain = texts[match.end - 1] == "pain" or texts[match.start] == "pain"
    harmless = before in _BEFORE or (pain and before in {"acute", "chronic"})
    return (harmless or not before[:1].isalnum()) and (after in _AFTER or not after[:1].isalnum())


def _side(match: _Match, matches: Sequence[_Match], texts: Sequence[str]) -> str:
    """Return the side that is said of a problem; empty when none is, or more than one."""
    first = match.start
    while first > max(0, match.start - 2) and texts[first - 1] != "and" and texts[first - 1][:1].isalnum():
        first -= 1
    near = range(first, match.end)
    sides = {_SIDES[texts[i]] for i in near if texts[i] in _SIDES}
    if not sides:
        others = {i for other in matches if other is not match for i in range(other.start - 2, other.end)}
        later = range(match.end, min(len(texts), match.end + _REACH))
        ends = (i for i in later if texts[i] in _SIDES and i not in others and _ends(texts[i + 1 : i + 2]))
        sides = {_SIDES[texts[i]] for i in ends}
    return sides.pop() if len(sides) == 1 else ""


def _ends(after: Sequence[str]) -> bool:
    """Tell whether a side is the problem's and no other thing's ("right hand")."""
    return not after or not after[0][:1].isalnum() or after[0] in _AFTER or after[0] in {"side", "sided"}


@cache
def _table(sided: bool) -> dict[tuple[str, ...], tuple[_Code, ...]]:
    """Return the codes by the words of each name, of problems with a side or of those without."""
    table: dict[tuple[str, ...], tuple[_Code, ...]] = {}
    for code, terms in read_table():
        if bool(code.side) == sided:
            for term in terms:
                words = tuple(text for word in read_words(term) if (text := word.text) not in _UNREAD)
                table[words] = (*table.get(words, ()), code)
    return table


def read_table() -> Iterable[tuple[_Code, list[str]]]:
    """Read the table of problems: code, display, kind, side and names."""
    data = files("osler.draft.data").joinpath("icd-10-cm.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(data.splitlines()):
        yield _Code(row["code"], row["display"], row["kind"], row["side"]), row["terms"].split("; ")
