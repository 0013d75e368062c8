"""Dates that their surroundings tell: without a year, apart, misread by a scanner, or said aloud."""

import re
from typing import Final

from osler.deidentify.text.en.dates import MONTH
from osler.deidentify.text.en.numbers import ORDINAL, TENS
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_M: Final = r"(?P<a>1[0-2]|0?[1-9])"
_D: Final = r"(?P<b>3[01]|[12]\d|0?[1-9])"
_NO_DATE: Final = re.compile(
    r"(?:plates?|days?|cycles?|weeks?|doses?|scor\w{1,3}|nodes?|lns?|phq|gad|moca|mmse|scales?|index|vision|ratio|grade"
    r"|apgars?|vas|gcs|pain|strength|motor|power|murmur|reflex(?:es)?|dtrs?|pulses?|edema|nihss|slums|stage|cultures?"
    r"|bottles?|sets?|positive|negative|quads?|biceps|triceps|grip|criteria|severity|level|rated|rates?|faces|flacc"
    r"|braden|morse|berg|tinetti|barthel|fim|katz|epworth|hopkins|vanderbilt|conners|chat|pews|sofa|bishop|naming|recall|words?|items?"
    r"|points?"
    r"|visits?|sessions?|treatments?|tx|about|only|got|correct|than|lotrel|vytorin|caduet|norco|percocet|bp|o[dsu]|both"
    r"|(?:bi|c|i|e|au)pap|avaps|niv|psv?|vent|settings?|simv|pressures?|ishihara|gravity|ns|lr|block|over|room|rm|bed"
    r"|of|is|was|mix|split|snellen|wpm|liters?|sats?|fractions?|fx|cores?|lobes?|cores)"
)
_SCORED: Final = re.compile(r"(?:phq|gad|fim|moca|mmse|audit|cage|dast|bdi|cdr|hads|ess)[- ]?\d{0,2}[ :=(]{1,2}$")
_DOSES: Final = frozenset({(5, 20), (10, 20), (5, 30), (10, 30), (5, 25), (10, 25)})
_UNIT: Final = re.compile(
    r"\s?(?:mg|mcg|ml|units?|tabs?|%|mm\b|cm\b|kg\b|times|months?|weeks?|days?|hours?|strength|murmur|systolic|pain"
    r"|reps"
    r"|sets|nodes?|positive|negative|cores?|\+|in\b|inch)"
)
_ON_THE: Final = r"\b(?:on|by|until|till|since|before|after|through|born|due) (?:on )?(?:the )"
_NO_DAY: Final = (
    r"(?! ?(?:percentile|%|floor|day|week|hour|month|year|street|ave|st\b|grade|visit|toe|finger|rib|digit|metatarsal"
    r"|metacarpal|dose|time|cycle|attempt|nerve|century|trimester|and|opinion|hand|one|line|degree|to\b))"
)
_RARE: Final = (
    r"(?:tishrei|cheshvan|kislev|tevet|shevat|adar|nisan|iyar|sivan|tammuz|elul|muharram|safar|rajab|sha'?ban|shawwal"
    r"|ramadan|dhu al-\w{4,6})"
)


def is_day_after(match: re.Match[str]) -> bool:
    """Check that m/d is no share, score or dose by its size and by the word before it."""
    first, second = int(match["a"]), int(match["b"])
    if _SCORED.search(match.string, max(0, match.start("v") - 12), match.start("v")):
        return False
    if not (first > second or second > 12 or match["b"].startswith("0")) or (first, second) in _DOSES:
        return False
    word = match["word"]
    return (
        not _NO_DATE.fullmatch(word)
        and "d" not in load_lexicon().get(word, ())
        and not _UNIT.match(match.string, match.end())
    )


def _is_day(match: re.Match[str]) -> bool:
    parts = [re.sub(r"\D", "", part) for part in re.split(r"[/|]", match[0])]
    first, second = int(parts[0]), int(parts[1])
    return 1 <= min(first, second) <= 12 and max(first, second) <= 31 and len(parts[2]) in {2, 4}


def _is_spaced(match: re.Match[str]) -> bool:
    return 1 <= int(match["a"]) <= 12 and 1 <= int(match["b"]) <= 31


RULES: Final = (
    Rule(
        "date-slash-word",
        Category.DATE,
        rf"(?<![\w/])(?P<word>[a-z]{{3,20}})\.? (?P<v>{_M}/{_D})(?=[.;)]?\s?$|[.;)](?!\d)|, (?![ \d])|,?\n)",
        0.78,
        ("/",),
        is_day_after,
    ),
    Rule(
        "date-slash-falling",
        Category.DATE,
        r"(?<![\w/])(?P<word>[a-z]{2,20})[:,]? (?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>[1-9]))(?![\w/]|[-.]\d)",
        0.72,
        ("/",),
        lambda m: int(m["a"]) > int(m["b"]) and is_day_after(m),
    ),
    Rule(
        "date-slash-bracket",
        Category.DATE,
        rf"(?P<word>[a-z0-9)]{{1,20}})\)? \(?(?P<v>{_M}/{_D})(?=\)|\.(?:\s|$))",
        0.76,
        ("/",),
        is_day_after,
    ),
    Rule(
        "date-slash-clock",
        Category.DATE,
        rf"(?<![\w/.\-])(?P<v>{_M}/{_D}),? (?:@ ?|at )?(?:[01]\d|2[0-3])[0-5]\d(?![\w/]|[.,]\d)",
        0.85,
        ("/",),
    ),
    Rule(
        "date-slash-told",
        Category.DATE,
        rf"\b(?:yesterday|today|tomorrow|tonight|(?:morning|evening|night|afternoon) of|known well|menarche|lmp|onset"
        rf"|turns \d{{1,3}}|i\.e\.|flu(?: shot)?|tdap|mmr|covid|prevnar|shingrix|ppd|repair|surgery|fracture|injury"
        rf"|sched"
        rf"(?:uled)?|resched(?:uled)?|cancel(?:led)?|f/u|rtc|ret(?:urn)?|menses|delivery|delivered|birthday|bday"
        rf"|hearing"
        rf"|arrival|departed|flight)[ :]{{1,2}}(?:on |for |was |is )?(?P<v>{_M}/{_D})(?![\w/%]|[-.]\d)",
        0.85,
        ("/",),
        lambda m: not _UNIT.match(m.string, m.end()) and not re.fullmatch("[1-4]/[1-4]", m["v"]),
    ),
    Rule(
        "date-dash",
        Category.DATE,
        rf"\b(?:sched(?:uled)?|due|appt|appointment|f/u|seen|surgery|visit|dated?|since|admitted|adm|rtc|until|by)"
        rf"(?: (?:for|on|[a-z]{{4,16}}))? (?P<v>{_M}-(?P<b>3[01]|[12]\d))(?![\w/%-]|\.\d| (?:days?|weeks?|months?"
        rf"|hours?|years?"
        r"|mg|ml|times|units?))",
        0.8,
        ("-",),
        lambda m: int(m["b"]) > 12,
    ),
    Rule(
        "date-dash",
        Category.DATE,
        rf"\b(?:adm(?:it(?:ted)?)?|d/c'?d?|dc'?d|discharged?|seen|rtc|surgery"
        rf"|appt) (?:on )?(?P<v>{_M}-(?P<b>3[01]|[12]\d|0?[1-9]))"
        r"(?=[,.;)]|\s?$| (?:and|w/|with|for|to)\b)",
        0.8,
        ("-",),
    ),
    Rule("date-dash", Category.DATE, r"\((?P<v>(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))\)", 0.8, ("-",)),
    Rule("date-glued", Category.DATE, r"dob[:=]?(?P<v>\d{1,2}([/-])\d{1,2}\2(?:\d{4}|\d{2}))(?!\d)", 0.95, ("dob",)),
    Rule("date-dash", Category.DATE, r"(?m)^(?P<v>(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))(?=[ :]{1,2}[a-z\d])", 0.8),
    Rule(
        "date-apart",
        Category.DATE,
        r"(?<![\w/.|])_?\d[ _]?\d?[ _]{0,2}([/|])[ _]{0,2}\d[ _]?\d?[ _]{0,2}\1[ _]{0,2}\d(?:[ _]?\d){1,3}_?(?!\w)",
        0.9,
        ("/", "|"),
        _is_day,
    ),
    Rule(
        "date-spaced",
        Category.DATE,
        rf"\b(?:dob|date|born|birth|eval|visit|seen|dos|note|on|signed)[ :]{{1,2}}(?P<v>{_M} {_D} (?:(?:19|20)\d\d"
        rf"|\d\d))"
        r"(?![\w/.,%]| ?(?:mg|ml|units?|to\b))",
        0.85,
        (),
        _is_spaced,
    ),
    Rule("date-slang-year", Category.DATE, r"(?<![\w/])\d{1,2}([/\-])\d{1,2}\1'?2k\d{1,2}(?!\w)", 0.95, ("2k",)),
    Rule(
        "date-day-of-month",
        Category.DATE,
        rf"{_ON_THE}(?P<v>(?:3[01]|[12]\d)(?:st|nd|rd|th)){_NO_DAY}(?!\w)",
        0.8,
        (" the ",),
    ),
    Rule(
        "date-day-said",
        Category.DATE,
        rf"{_ON_THE}(?P<v>{ORDINAL})(?= ?[,.;)]|\s?$| (?:at|and|she|he|they|with|we|in the)\b)",
        0.8,
        (" the ",),
        digits=False,
    ),
    Rule(
        "date-spoken",
        Category.DATE,
        rf"\b{MONTH},? (?:the )?{ORDINAL},? (?:of )?(?:{TENS.replace(' ', '|')})(?:[- ](?:one|two|three|four|five"
        rf"|six|seven"
        r"|eight|nine))?\b",
        0.96,
        digits=False,
    ),
    Rule(
        "date-month-lower",
        Category.DATE,
        rf"\b(?:in|since|last|this past|next|early|late|mid) (?P<v>may|march)(?= (?:no|and|or|so|when|he|she|they|i"
        rf"|we|but"
        rf"|for|with|after|before|of)\b|[,.;)]|\s?$)|\b(?:end|beginning|start|middle) of {MONTH}\b",
        0.85,
        digits=False,
    ),
    Rule(
        "date-nth-weekday",
        Category.DATE,
        rf"\b(?:(?:1st|2nd|3rd|4th|first|second|third|fourth|last) (?:mon|tues|wednes|thurs|fri|satur|sun)day"
        rf"(?: (?:of|in) {MONTH})|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_RARE}(?: \d{{4}})?)\b",
        0.9,
        digits=False,
    ),
)
