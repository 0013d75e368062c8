"""Places that the words before them tell: a preposition, a label, or the noun that a place's name ends with."""

import re
from typing import Final

from osler.deidentify.text.en.facilities import GENERIC
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.numbers import DIGIT
from osler.deidentify.text.en.places import place_rule
from osler.deidentify.text.en.written_dates import MONTH_NAMES
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_CAP: Final = r"[A-Z\u00c0-\u00de][\w'&\-]{0,25}"
_TITLE: Final = r"[A-Z\u00c0-\u00de][a-z\u00df-\u00ff]*[A-Za-z'&\-]{1,24}"
_MORE: Final = rf"(?: (?:of |the |de |du |& |and )?{_CAP})"
_NOUN: Final = (
    r"(?:Park|House|Place|Home|Lodge|Villa|Inn|Hotel|Motel|Gym|Gymnastics|Stadium|Arena|Zoo|Beach|Lake|Farms?|Ranch"
    r"|Mill"
    r"|Foundry|Casino|Brewery|Motors|Primary Care|Urgent Care|Charter|Montessori|Courthouse(?: Sq(?:uare)?)?|Surgery"
    r"|Anesthesia|Orthop(?:a)?edics|Dental|Endoscopy|Laborator(?:y|ies)|Labs?|Associates|Partners|Physicians|Plaza"
    r"|Market"
    r"|Store|Diner|Bakery|Restaurant|Theat(?:er|re)|Museum|Camp|Court|Probate|Station|Bridge|Garden|Gardens|Cemetery"
    r"|Haven|Meadows|Pines|Oaks|Commons|Landing|Village|Terrace|Heights|Tool & Die|Works|Industries|Logistics|Foods)"
)
_LEAD: Final = r"(?:[Aa]t|[Tt]o|[Ii]n|[Ff]rom|[Nn]ear|[Oo]utside|[Vv]ia|[Bb]y|[Vv]isits?|[Aa]ttends)"
_NO_PLACE: Final = frozenset(
    [
        "the",
        "this",
        "that",
        "his",
        "her",
        "their",
        "our",
        "home",
        "bedtime",
        "discharge",
        "baseline",
        "rest",
        "night",
        "time",
        "least",
        "risk",
        "level",
        *MONTH_NAMES,
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "day",
        "week",
        "hour",
        "hours",
        "admission",
        "bedside",
        "noon",
        "midnight",
        "once",
        "all",
        "first",
        "last",
        "erb",
        "erb's",
        "lusb",
        "rusb",
        "llsb",
        "rlsb",
        "lsb",
        "rsb",
        "mcburney",
        "mcburney's",
        "gerdy",
        "gerdy's",
        "lister",
        "lister's",
        "louis",
        "dr",
        "mr",
        "mrs",
        "ms",
    ]
)
_ANATOMY: Final = re.compile(r"(?:'s)? (?:point|tubercle|angle|triangle|line|space|pouch|canal|node|criteria|sign)")


def _is_name(match: re.Match[str]) -> bool:
    words = re.findall(r"[\w'\-]{2,}", match["v"])
    lower = [word.lower() for word in words]
    if not words or lower[0] in _NO_PLACE or _ANATOMY.match(match.string, match.end()):
        return False
    return any(not is_vocabulary(word) and word not in _NO_PLACE for word in lower)


def _has_noun(match: re.Match[str]) -> bool:
    words = match["v"].lower().split()
    return words[0] not in _NO_PLACE and any(word not in GENERIC for word in words[:-1])


def _is_house(match: re.Match[str]) -> bool:
    words = match["v"].lower().split()[1:]
    return not any(word.strip(".,") in _NO_PLACE or word in {"mg", "units", "french"} for word in words)


def _is_lower_name(match: re.Match[str]) -> bool:
    return not is_vocabulary(match["v"].split()[0]) or match["v"].startswith(("mount ", "saint ", "st ", "mt "))


RULES: Final = (
    place_rule(
        "site",
        rf"\b{_LEAD} (?:the )?(?P<v>{_CAP}{_MORE}{{0,3}}? {_NOUN}(?: (?:of|at|in) {_CAP})?)(?![\w'])",
        0.86,
        _has_noun,
        digits=False,
    ),
    place_rule(
        "site", rf"\b(?:[Aa]t|[Oo]utside) (?:the )?(?P<v>{_TITLE}{_MORE}{{1,3}})(?![\w'])", 0.72, _is_name, digits=False
    ),
    place_rule("site", rf"\b[Ff]rom (?P<v>{_TITLE} of {_CAP}(?: {_CAP})?)(?![\w'])", 0.8, _is_name, digits=False),
    place_rule("site", rf"\b(?:[Aa]t|@) (?P<v>{_TITLE})(?![\w/'.]\w)", 0.7, _is_name, digits=False),
    place_rule(
        "site-labelled",
        r"\b(?:[Ss]ynagogue|[Cc]hurch|[Mm]osque|[Tt]emple|[Ff]uneral home|[Dd]aycare|[Ss]helter|[Mm]ortuary|[Pp]arish)"
        rf":? (?P<v>{_CAP}{_MORE}{{1,3}})",
        0.85,
        _is_name,
        digits=False,
    ),
    place_rule(
        "site-labelled",
        r"\b(?:[Ee]mployer|EMPLOYER|[Ff]acility|FACILITY|[Hh]ospital|[Ss]chool|SCHOOL|[Ss]cene|[Vv]enue|[Pp]harmacy)"
        rf": (?P<v>(?:\d{{1,5}} )?{_CAP}{_MORE}{{0,3}})",
        0.85,
        _is_name,
        digits=False,
    ),
    place_rule(
        "facility-saint",
        r"\b(?:St\.?|Saint|SAINT|ST\.) [A-Z][A-Za-z]{2,14}'s\b",
        0.86,
        needs=("st", "saint"),
        digits=False,
    ),
    place_rule(
        "school-numbered",
        r"\b(?:[Aa]t|[Aa]ttends|[Ss]chool:?|[Ff]rom|[Tt]o) (?P<v>(?:PS|P\.S\.|IS|I\.S\.|JHS) ?#?\d{1,3})\b",
        0.9,
    ),
    place_rule(
        "city-ward", r"\b(?:First|Second|Third|Fourth|Fifth|Sixth|Seventh|Eighth|Ninth) Ward\b", 0.85, digits=False
    ),
    place_rule(
        "street-named",
        rf"(?<![\w'])(?:Old |New |North |South |East |West )?(?!The |A |On |At |In ){_TITLE} (?:Turnpike|Pike"
        rf"|Boulevard|Blvd"
        r"|Avenue|Parkway)\b",
        0.8,
        digits=False,
    ),
    place_rule(
        "street-number",
        rf"\b(?:[Aa]t|@|[Aa]ddress:?|ADDRESS:?|[Aa]ddr:?|[Ss]cene:?|[Ll]ives at|[Rr]esides at) (?P<v>\d{{1,5}}"
        rf" (?:[NSEW]\.? )?{_TITLE}(?: {_TITLE}){{0,2}})(?=[,.;)\n]|\s?$)",
        0.85,
        _is_house,
    ),
    place_rule(
        "address-line",
        r"\b(?:[Hh]ome |[Mm]ailing )?(?:[Aa]ddress|ADDRESS)(?: is)?:?"
        r" (?P<v>(?:No\. ?)?\d{1,5}[A-Za-z]? [A-Z](?:(?! (?:and|but|which|with|where|my|phone|cell|tel|she|he"
        r"|they)\b|  )"
        r"[^\n.;]){3,70})",
        0.9,
        needs=("address",),
    ),
    place_rule(
        "street-apart",
        r"(?<![\w/.])\d(?: ?\d){0,4} {1,3}[A-Z][A-Za-z]{2,20} {1,3}(?:[A-Z][A-Za-z]{2,20} {1,3})?"
        r"(?:HWY|Hwy|ST|St|AVE|Ave|RD|Rd|DR|LN|Ln|BLVD|Blvd|STREET|Street|AVENUE|Avenue|ROAD|Road|LANE|Lane)\b",
        0.85,
        lambda m: not re.search(r"\b(?:FROM|AT|TO|IN|FOR|AND|WITH|ON|BY|PER)\b", m[0]),
    ),
    place_rule("zip", r"\b(?:Zip|ZIP|zip)(?: ?[Cc]ode)?[ :]{1,3}(?P<v>\d(?: ?\d){4})(?! ?\d)", 0.95, needs=("zip",)),
    Rule(
        "zip-said",
        Category.LOCATION,
        rf"\bzip\b[^|]{{0,80}}?(?<!\w)(?P<v>{DIGIT}(?:[ ,\-]{{1,2}}{DIGIT}){{4}})(?![ ,\-]{{1,2}}{DIGIT})\b",
        0.9,
        ("zip",),
        digits=False,
    ),
    Rule(
        "facility-lower",
        Category.LOCATION,
        r"(?<!\w)(?:at|from|to|@) (?P<v>(?:mount|mt|saint|st)\.? [a-z]{3,15}(?:'s)?|[a-z]{4,15}(?: [a-z]{4,15})?)"
        r" (?:emergency|hospital|general|memorial|medical center|urgent care|er|ed)\b",
        0.8,
        ("emergency", "hospital", "general", "memorial", "medical center", "urgent care", " er", " ed"),
        _is_lower_name,
        digits=False,
    ),
)
