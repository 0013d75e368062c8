"""Names that their neighbours tell: a role or a relative before, a credential after, a speaker's label, a spelling."""

import re
from typing import Final

from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_NAME: Final = r"[A-Z\u00c0-\u00de][a-z\u00df-\u00ff'][\w'\-]{0,24}"
_SOLID: Final = rf"{_NAME}(?: {_NAME})?"
_CREDENTIAL: Final = (
    r"(?:M\.?D\.?|D\.?O\.?|RN|BSN|NP|FNP|PA-C|LPN|CNA|DPT|PTA|OTR(?:/L)?|PharmD|LCSW|LMSW|MSW|CRNA|CNM|RD|RDN|DDS|DMD"
    r"|PhD|Ph\.D\.|PsyD|RRT|SLP|Esq|MBBS|FACS|FACP)"
)
_ROLE: Final = (
    r"(?:RN|LPN|CNA|NP|RRT|LCSW|MSW|CRNA|Atty|Attorney|Fr|Father|Rev|Reverend|Pastor|Rabbi|Imam|Sgt|Officer"
    r"|Detective|Judge"
    r"|Sr|Sra|Señora|Mme|Herr|Frau|Dra|[Mm]idwife|[Dd]oula|[Tt]herapist|[Pp]CP|[Cc]g|[Cc]aregiver|[Ii]nvestigator"
    r"|[Cc]ase ?worker|[Cc]ounsel(?:l)?or|[Ii]nterpreter|[Gg]eneticist|[Ff]ellow|[Rr]esident|[Tt]echnician)"
)
_KIN: Final = (
    r"(?:[Ss]on|[Dd]aughter|dtr|[Ww]ife|[Hh]usband|[Bb]rother|[Ss]ister(?! Mary Joseph)|[Mm]other|[Mm]om|[Dd]ad"
    r"|[Bb]oyfriend|[Gg]irlfriend"
    r"|[Pp]artner|[Ff]ianc[eé]e?|[Aa]unt|[Uu]ncle|[Cc]ousin|[Nn]iece|[Nn]ephew|[Ff]riend|[Rr]oommate|[Nn]eighbou?r"
    r"|[Gg]randson|[Gg]randdaughter|[Pp]arents|[Ss]iblings|[Ss]ons|[Dd]aughters|[Kk]ids|[Cc]hildren|[Tt]wins"
    r"|[Bb]aby|pt)"
)

_NO_NAME: Final = re.compile(r"boy|girl|alive|dead|deceased|well|[a-z'\-]{3,}(?:ed|ing|ies)")
"""What a title-case sentence says of a person, and no name."""


def _names_one(match: re.Match[str]) -> bool:
    words = [word for word in re.findall(r"[\w'\-]{2,}", match["v"].lower()) if len(word) > 1]
    if not words or _NO_NAME.fullmatch(words[0]):
        return False
    return not any(map(is_vocabulary, words))


def _no_word(match: re.Match[str]) -> bool:
    return not all(map(is_vocabulary, re.findall(r"[\w'\-]{2,}", match["v"].lower())))


def _name(pattern: str, score: float = 0.8, needs: tuple[str, ...] = ()) -> Rule:
    return Rule("name-roster", Category.NAME, pattern, score, needs, _names_one, cased=True, digits=False)


RULES: Final = (
    _name(rf"\b{_ROLE}\.?:? (?P<v>(?:[A-Z]\. ?)?{_SOLID})(?![\w'])", 0.82),
    _name(rf"\b{_KIN}(?: is|,|:)? \(?\"?(?P<v>{_SOLID})(?![\w'])", 0.79),
    Rule(
        "name-credential",
        Category.NAME,
        rf"(?<![\w.])(?P<v>(?:{_NAME} |[A-Z]\. ?)(?:[A-Z]\.? )?{_NAME}|{_NAME}, [A-Z]\.?(?: ?[A-Z]\.)?"
        rf"|[A-Z][a-z']{2, 20}-[A-Z][a-z']{2, 20}),"
        rf" {_CREDENTIAL}(?![\w'])",
        0.85,
        (),
        _no_word,
        cased=True,
        digits=False,
    ),
    _name(rf"(?m)^\[\d{{1,2}}:\d\d(?::\d\d)?\] (?P<v>{_SOLID}):", 0.85, ("[",)),
    _name(
        rf"(?m)^(?:RE|Re|re|Regarding|PATIENT|Patient|Pt|Name|Last|First|Surname|Given|Nurse|Attending|Tech|Surgeon"
        rf"|Provider|Ref MD|Dr|From|Signed)[ :]{{1,3}}(?P<v>(?:{_SOLID}|[A-Z]{{3,20}})(?=\s*$|[,.;]|\s{{2}}))",
        0.82,
    ),
    Rule(
        "name-last-first",
        Category.NAME,
        rf"(?m)(?:^|\d\d:\d\d |[A-Z]{{2,4}}\d{{2,6}} )(?P<v>(?:van |de |von "
        rf"|der ){{0,2}}{_NAME}, [A-Z]\.?)(?= ?\b[a-zABO0-9])",
        0.82,
        (",",),
        _no_word,
        cased=True,
        digits=False,
    ),
    _name(
        rf"\b(?:[Ii]t's|[Tt]his is|[Ii] am|[Ii]'m|[Mm]y name is|[Tt]hx,|[Tt]hanks,"
        rf"|[Rr]egards,) (?P<v>{_SOLID})(?=[.,;!\n]|\s?$)"
    ),
    Rule(
        "name-spelt",
        Category.NAME,
        r"(?<![\w\-'])(?:[a-z] ){4,14}[a-z](?![\w'])|(?<![\w\-])(?:[A-Z] ){4,14}[A-Z](?![\w'])"
        r"|(?<![\w\-])(?:[A-Z]-){4,16}[A-Z](?![\w\-])",
        0.85,
        (" ", "-"),
        cased=True,
        digits=False,
    ),
)
