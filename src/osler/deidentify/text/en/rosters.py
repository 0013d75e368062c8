"""Names that their neighbours tell: a role or a relative before, a credential after, a speaker's label, a spelling."""

import re
from typing import Final

from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.wordlists import load_lexicon
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
    r"|[Bb]aby|pt|[Ss]ibs?|bro|sis|[Gg]ma|[Gg]pa|[Gg]randma|[Gg]randpa|[Nn]ana|[Aa]buela|[Aa]buelo|[Tt]ía|[Tt]ío"
    r"|[Ss]tepmom"
    r"|[Ss]tepdad|[Ss]tep(?:son|daughter|father|mother)|[Ff]oster (?:mom|dad|mother|father|parents?)|[Bb]io mom"
    r"|[Bb]io dad|[Cc]aretaker|[Ss]ig(?:nificant)? other|[Ee]x-?(?:wife|husband)|[Ll]andlord|[Cc]o-?worker|[Bb]oss)"
)

_KNOWN: Final = frozenset("mdoaetrkcvlh")
"""Codes of words that are no names, or are names of another thing."""

_VIRTUE: Final = (
    r"(?:Faith|Hope|Grace|Joy|Charity|Patience|Precious|Angel|Destiny|Harmony|Heaven|Justice|Mercy|Chance|Mark|Bill"
    r"|Rose|Dawn|Summer|Autumn|Ivy|Iris|Olive|Daisy"
    r"|Lily|Ruby|Amber|Pearl|Opal|Jade|Constance|Prudence|Serenity|Trinity|Genesis|Princess|Prince|King|Royal|Sunny"
    r"|Skye|Star|Rain|River|Forest|Hunter|Chase|Rusty|Sonny|Buddy)"
)
_BODIES: Final = frozenset(
    """
    MD DO RN NP PA PT OT ED ER OR IR EMS ICU PCP ENT GI GU ID CT MR US VS LAB RT SW MA MS HS ME HER HIM UC OB RD BP ALL
    ADL LOC PPE CCU DOB MRN SSN DL ID PIN EKG ECG CXR MRI
    """.split()  # noqa: SIM905
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


def _is_caps_name(match: re.Match[str]) -> bool:
    """Tell whether a word in capitals behind a relative is a given name, and nothing else."""
    codes = load_lexicon().get(match["v"].split()[0].lower(), ())
    kinds = {code[0] for code in codes}
    return "g" in kinds and _KNOWN.isdisjoint(kinds) and {"w0", "w1"}.isdisjoint(codes)


def _is_surname(match: re.Match[str]) -> bool:
    """Tell whether the first word is on the lists of names, or on none."""
    codes = load_lexicon().get(re.split(r"[ ,]", match["v"].lower())[0], ("s",))
    return any(code[0] in "gs" for code in codes) and _KNOWN.isdisjoint(code[0] for code in codes)


def _is_no_word(match: re.Match[str]) -> bool:
    """Tell whether no list knows the word but as a name."""
    word = match["v"].lower()
    return all(code[0] in "gs" for code in load_lexicon().get(word, ())) and not is_vocabulary(word)


def _name(pattern: str, score: float = 0.8, needs: tuple[str, ...] = ()) -> Rule:
    return Rule("name-roster", Category.NAME, pattern, score, needs, _names_one, cased=True, digits=False)


RULES: Final = (
    _name(rf"(?<!\d )\b{_ROLE}\.?:? (?P<v>(?:[A-Z]\. ?)?{_SOLID})(?![\w'])", 0.82),
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
    Rule(
        "name-last-first",
        Category.NAME,
        rf"(?m)(?:^|[;|] ?|\t)(?P<v>{_NAME}(?:[ -]{_NAME})?, {_NAME}(?: [A-Z]\b\.?)?)"
        r"(?=[ \t]{0,4}[;|,(]?[ \t]{0,8}(?:\d{1,3} ?(?:[FMfm]\b|[Yy]/?[Oo]|-year)|[MF]/\d|DOB|MRN|\d{1,2}[./-]\d{1,2}"
        r"[./-]\d{2}))",
        0.85,
        (",",),
        cased=True,
        digits=False,
    ),
    Rule(
        "name-initials",
        Category.NAME,
        r"\b[Ii]nitials?(?: are| is)?[:=]? ?(?P<v>[A-Z]\.?[A-Z]\.?(?:[A-Z]\b\.?)?)(?![\w])",
        0.85,
        ("initial",),
        cased=True,
        digits=False,
    ),
    Rule(
        "name-user",
        Category.NAME,
        r"\b(?:provider|user|author|signed(?: by)?|entered by|clinician|physician|nurse|rn|md|tech|attending)"
        r"[ \t]{0,16}[:=|][ \t]{0,16}(?P<v>[a-z]{2,20}[_.][a-z]{1,20})(?![\w.@])",
        0.85,
        ("_", "."),
        lambda m: not all(map(is_vocabulary, re.split(r"[_.]", m["v"]))),
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
        "name-listed",
        Category.NAME,
        r"(?m)(?:^(?:\d{5,10} )?|[;|] ?)(?P<v>[a-z][a-z'\-]{2,18}, [a-z][a-z'\-]{1,15})(?=,? (?:\d{1,2}/\d"
        r"|\d{1,3} ?(?:yo|y/o|[mf])\b|dob\b|mrn\b))",
        0.82,
        (",",),
        _no_word,
    ),
    Rule(
        "name-of-virtue",
        Category.NAME,
        rf"\b(?:[Tt]old|[Tt]ell|[Aa]sked?|[Cc]alled|[Nn]amed|[Mm]arried|[Tt]exted|[Tt]hanks,?|[Hh]i|[Hh]ey|[Hh]ello"
        rf"|[Ss]aw|[Mm]et|[Ww]ith|[Ll]oves|[Mm]issed)"
        rf" (?P<v>{_VIRTUE})(?=[.,;!?]|\s?$| [a-zI])"
        rf"|(?<=[.!?:] )(?P<kin>{_VIRTUE})(?= (?:is|was) (?:my|his|her|their|our|the (?:pt|patient|nurse|sister|wife"
        rf"|mom))\b)",
        0.8,
        cased=True,
        digits=False,
    ),
    Rule(
        "name-initials",
        Category.NAME,
        r"\b(?:[Gg]ross(?:ed)?|[Dd]ictated|[Tt]ranscribed|[Ss]creened|[Tt]yped|[Ss]igned|[Rr]ead|[Vv]erified"
        r"|[Dd]rawn|[Cc]ollected|[Pp]repared|[Cc]hecked|[Ee]ntered"
        r"|[Ww]itnessed|[Dd]ocumented|[Pp]laced|[Pp]erformed|[Cc]harted|[Aa]ssessed|[Cc]osigned|[Ss]taffed"
        r"|[Cc]ounted|[Rr]eviewed|[Ss]cored(?= [A-Z]))(?: by|:|(?<=cored)) (?P<v>[A-Z]{2,3})(?=[.,;)/]|\s?$| \d)",
        0.8,
        check=lambda m: m["v"] not in _BODIES,
        cased=True,
        digits=False,
    ),
    Rule(
        "name-initials",
        Category.NAME,
        r"(?:[.!?)] ?|\n)(?:-{1,2}|~) ?(?P<v>[A-Za-z]{2,3})(?=\s*$)",
        0.8,
        check=lambda m: m["v"].upper() not in _BODIES,
        cased=True,
        needs=("-", "~"),
        digits=False,
    ),
    Rule(
        "name-in-row",
        Category.NAME,
        r"(?m)^(?:[Rr]m |[Bb]ed |[Bb]d )?\d{1,4}[A-Za-z]?(?:-[\dA-D])?(?: ?[.|:\t] ?| )(?P<v>[A-Z][a-z'\-]{2,20}"
        r"|[A-Z]['A-Z\-]{3,20})(?=,| [a-zA-Z\d(]|\s?\|)",
        0.8,
        check=lambda m: (
            not _KNOWN.intersection(code[0] for code in load_lexicon().get(m["v"].lower(), ()))
            and not is_vocabulary(m["v"].lower())
        ),
        cased=True,
    ),
    Rule(
        "name-initials",
        Category.NAME,
        r"\b(?:prosector|read|dictated|dict|transcribed|trans|typed|tech|resp|entered"
        r"|charted)(?: by)?: ?(?P<v>[a-z]{2,3})(?=[.,;)/]|\s?$)",
        0.8,
        check=lambda m: m["v"].upper() not in _BODIES and not is_vocabulary(m["v"]),
        digits=False,
    ),
    Rule(
        "name-in-row",
        Category.NAME,
        rf"(?m)^(?:\d{{1,2}}:\d\d|\d{{1,2}}[.)]|\d{{4}}) (?P<v>(?:van |de |von "
        rf"|la )?{_NAME}(?:-{_NAME})?,? {_NAME})(?![\w'])",
        0.8,
        check=lambda m: (
            not _KNOWN.intersection(
                code[0] for word in re.findall(r"[\w']{2,}", m["v"].lower()) for code in load_lexicon().get(word, ())
            )
        ),
        cased=True,
    ),
    Rule(
        "name-in-row",
        Category.NAME,
        r"\b(?:bed|bd|room|rm) ?\d{1,4}[a-d]?:? (?P<v>[a-z][a-z'\-]{2,15},? [a-z])\.",
        0.8,
        ("b", "r"),
        _is_surname,
    ),
    Rule(
        "name-initials",
        Category.NAME,
        r"(?m)\b(?:tx|thx|thanks|ty|thank you),? (?P<v>[a-z]{2,3})\s*$",
        0.8,
        ("tx", "thx", "ty", "thank"),
        lambda m: (
            m["v"].upper() not in _BODIES and m["v"] not in {"all", "you", "for", "so", "to", "too", "bid", "tid", "qd"}
        ),
        digits=False,
    ),
    Rule(
        "name-and-kin",
        Category.NAME,
        rf"(?<![\w.])(?P<v>{_SOLID}) \((?:[a-z ]{{0,12}})?(?:son|dtr|daughter|sis|sister|bro|brother|wife|husband"
        rf"|hus|mom|mother|dad|father|aunt|uncle|niece|nephew|cousin|friend|neighbor|spouse"
        r"|partner|gf|bf|girlfriend|boyfriend|fianc[eé]e?|grandson|granddaughter|roommate|caregiver|poa|hcp|landlord"
        r"|boss|ex)\)",
        0.82,
        ("(",),
        _no_word,
        cased=True,
        digits=False,
    ),
    Rule(
        "name-caps",
        Category.NAME,
        r"\b(?:SON|DAUGHTER|DTR|WIFE|HUSBAND|MOTHER|FATHER|MOM|DAD|SISTER|BROTHER|NIECE|NEPHEW|GRANDSON"
        r"|GRANDDAUGHTER|AUNT|UNCLE|FRIEND|NEIGHBOR|PT|PATIENT|ROOMMATE|PARTNER|CAREGIVER|AIDE|NURSE)"
        r"(?:,|:| IS)? (?P<v>[A-Z][A-Z'\-]{2,15})(?![\w'])",
        0.8,
        check=_is_caps_name,
        cased=True,
        digits=False,
    ),
    Rule(
        "name-caps",
        Category.NAME,
        r"\b(?:[Ss]urgeon|SURGEON|[Pp]atient|PATIENT|[Aa]ttending|ATTENDING|[Rr]esident|RESIDENT|[Ff]ellow|FELLOW"
        r"|[Pp]rovider|[Cc]linician|[Nn]urse|RN|CRNA|PA-C|NP|[Ll]eader|[Rr]ecorder|[Aa]ssistant"
        r"|[Aa]nesthesia|[Cc]irculator|[Ss]crub):? (?P<v>[A-Z][A-Z'\-]{3,20})(?![\w'])",
        0.8,
        check=lambda m: (
            all(c[0] in "gs" for c in load_lexicon().get(m["v"].lower(), ())) and not is_vocabulary(m["v"].lower())
        ),
        cased=True,
        digits=False,
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
