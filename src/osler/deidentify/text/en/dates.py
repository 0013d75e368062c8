"""The grammar of dates: every element but the year goes; months, weekdays, holidays and seasons are elements too."""

import re
from datetime import UTC, datetime
from typing import Final

from osler.deidentify.text.en.numbers import DAY_WORD, NUMBER_WORD, ORDINAL, YEAR
from osler.deidentify.text.en.written_dates import MONTH_NAMES
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

MONTH: Final = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)(?![a-z])\.?)"
)
_LONG: Final = r"(?:january|february|april|june|july|august|september|october|november|december)"
_DAY: Final = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?(?![\w%])"
_CENTURY: Final = r"(?:1[89]\d\d|2[01]\d\d)"
YEAR4: Final = rf"{_CENTURY}(?![\w%])"
_Y: Final = rf"(?:{YEAR4}|'?\d\d(?![\w:/%]|\.\d|\s?(?:mg|mcg|ml|units?|%|yo|y/o|year|am|pm|m\b|f\b)))"
_WEEKDAY: Final = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_WD: Final = rf"(?:{_WEEKDAY}|(?:mon|tues?|weds?|thu(?:rs?)?|fri|sat|sun)\b\.?)"
_BEFORE: Final = rf"(?:{_WD},? (?:the )?)?"
_CLOCK: Final = r"(?:[t ]\d{1,2}:?\d\d(?::?\d\d(?:\.\d{1,9})?)?(?: ?[ap]m)?(?: ?z|[ ]?[+-]\d\d:?\d\d)?(?!\d|:\d))?"
_TO: Final = r"\s?(?:-|to|through|thru|until)\s?"
START: Final = r"(?<![\w/.\-])"
END: Final = r"(?![\w/]|[-.]\d)"
_UNIT: Final = re.compile(
    r"\s?(?:mg|mcg|ml|g\b(?!\.)|units?|tabs?\b|tablets?|puffs?|drops?|%|mm\b|cm\b|kg\b|lbs?\b|times|bpm|"
    r"months?|weeks?|days?|hours?|hrs?|years?|strength|murmur|systolic|diastolic|pain|reps|sets)"
)
_SEASON: Final = r"(?:spring|summer|fall|autumn|winter)(?:time)?"
BEFORE_DAY: Final = (
    r"\b(?:on|since|from|until|till|by|before|after|dated?|through|thru|d/c'?d|admitted|admit|discharged|seen|"
    r"last|next|dob|born|surgery|started|stopped|begun|due|scheduled|labs?|cxr|ct|mri|echo|ekg|ecg|xray|x-ray|"
    r"visited|saw|called|met|spoke|lov|dos|dol|doi|dod|rtc|sched|closed|c\d{1,2} ?d\d{1,2}|recheck|retest|repeat"
    r"|redraw|swab(?:bed)?|tested"
    r"|eval|cath|egd|colonoscopy|biopsy|bx|visit|appt|appointment|f/u"
    r"|follow[- ]?up|as of|lmp|edd|edc|ucx|bcx|cultures?"
    r"|between|filled|given|received|expires?|exp|effective|returned|week of|updated|signed|dictated|d/c|dc'?d"
    r"|disch(?:arge)?|adm(?:ission)?|dose|shot|vaccine|booster|mammo(?:gram)?|pap|dexa"
    r"|note|event|fell|pod ?#?\d{1,2}|post-?op day \d{1,2}|s/p [a-z]{2,14}|hgb|hct|wbc|plt|inr|bmp|cbc|cmp|bnp"
    r"|trop(?:onin)?"
    rf"|verified|reviewed|in:|out:|intake|census|comparison|compared? (?:to|with)|read|prior|previous|reported"
    rf"|collected|drawn|resulted|a1c|dialysis|hd|ed visit|transfused|extubated|intubated|placed|removed"
    rf"|last [a-z]{{2,10}}|{_WEEKDAY}|mon|tues?|wed|thurs?|fri|sat)"
)


_CLOCK_BEFORE: Final = re.compile(r"\b(?:[01]?\d|2[0-3]):[0-5]\d(?: ?[ap]m)? $")


def _numeric(match: re.Match[str]) -> bool:
    first, second = int(match["a"]), int(match["b"])
    return (
        1 <= min(first, second) <= 12
        and 1 <= max(first, second) <= 31
        and (len(match[0]) > 8 or not _UNIT.match(match.string, match.end()))
    )


def is_day(match: re.Match[str]) -> bool:
    """Check m/d without a year: no ratio, dose, score or strength."""
    return 1 <= int(match["a"]) <= 12 and 1 <= int(match["b"]) <= 31 and not _UNIT.match(match.string, match.end())


def _no_score(match: re.Match[str]) -> bool:
    before = match.string[max(0, match.start() - 24) : match.start()]
    return is_day(match) and not re.search(
        r"(?:plates?|days?|cycles?|weeks?|doses?|scored?|scores?|nodes?|phq|gad|moca|mmse|scale|index|vision"
        r"|ratio|grade|apgars?|vas|ln|o[ds]"
        r"|\d)[-\d:=, ]*(?:of |was |is )?$",
        _CLOCK_BEFORE.sub("", before),
    )


def no_dose(match: re.Match[str]) -> bool:
    """Check that no unit follows."""
    return not _UNIT.match(match.string, match.end())


def stands_alone(match: re.Match[str]) -> bool:
    """Check that the name of a month or a feast is not the first half of another name."""
    return not re.match(
        r"'?s\b| (?:disease|factor|tree|downers?|exposure|fever|injury)\b", match.string[match.end() : match.end() + 12]
    )


def _weekday(match: re.Match[str]) -> bool:
    """Check: a day of the week, not a weekly habit."""
    before = match.string[max(0, match.start() - 60) : match.start()]
    after = match.string[match.end() : match.end() + 14]
    return not re.search(
        r"(?:(?:every|each|per)(?: (?:other )?[a-z]{3,6}day,?(?: and| or)?){0,5}|through|to|thru|-|/) ?$", before
    ) and not re.match(r"s\b|'?s\b(?! )| ?(?:-|through|thru|to) ?(?:fri|sat|sun|thu|wed)|/", after)


def is_old(year: int) -> bool:
    """Tell whether a birth year shows an age over 89."""
    return datetime.now(UTC).year - year > 89


_MONTHS_NEED: Final = tuple(month[:3] for month in MONTH_NAMES)
RULES: Final = (
    Rule(
        "date-month-day",
        Category.DATE,
        rf"\b{_BEFORE}{MONTH}[ \n/.-]{{0,2}}(?:the )?{_DAY}(?:(?:\s?[-–]\s?|\s(?:to|and"
        rf"|through)\s){_DAY}(?!/)(?:,?\s{YEAR4})?"
        rf"|(?:,|\s|-|/|of){{1,4}}{_Y})?{_CLOCK}",
        check=no_dose,
        needs=_MONTHS_NEED,
    ),
    Rule(
        "date-day-month",
        Category.DATE,
        rf"\b{_BEFORE}(?:{_DAY}\s?(?:-|to|and|&)\s?)?(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?(?:\s"
        rf"|-|/|\.|,)?(?:day )?(?:of )?{MONTH}(?:[ ,./'-]{{0,3}}(?:{YEAR4}"
        rf"|\d\d(?![\w%])))?{_CLOCK}(?!\w)",
        needs=_MONTHS_NEED,
        check=no_dose,
    ),
    Rule(
        "date-month-year",
        Category.DATE,
        rf"\b(?:{MONTH}[-/])?{MONTH}(?:,?\s|-|/|,|\s+of\s"
        rf"|\s'|'){{1,2}}{YEAR4}|\b{MONTH}[ -]?'\d\d\b",
        needs=_MONTHS_NEED,
    ),
    Rule(
        "date-spoken",
        Category.DATE,
        rf"\b{_BEFORE}(?:{MONTH},? (?:the )?{ORDINAL}"
        rf"|(?:the )?{ORDINAL}(?: day)? of {MONTH})(?:,? (?:of )?(?:{YEAR}|{YEAR4}))?\b",
        needs=_MONTHS_NEED,
        digits=False,
    ),
    Rule(
        "date-spoken-cardinal",
        Category.DATE,
        rf"\b{_BEFORE}{MONTH},? (?:the )?{DAY_WORD},? (?:of )?(?:{YEAR}|{YEAR4})\b|\b{_LONG} {DAY_WORD}\b",
        needs=_MONTHS_NEED,
        digits=False,
    ),
    Rule(
        "date-spoken-birth",
        Category.DATE,
        rf"\b(?:dob|date of birth|birth ?da(?:te|y)|born)(?: is| was| on)?[:,]? (?P<v>{NUMBER_WORD}(?:(?:[-, ]"
        rf"| slash | dash ){{1,3}}"
        rf"{NUMBER_WORD}){{2,9}})\b",
        needs=("dob", "birth", "born"),
        digits=False,
    ),
    Rule(
        "date-year-first",
        Category.DATE,
        rf"{START}{_CENTURY}[-/ ]{MONTH}[-/ ]{_DAY}",
        needs=_MONTHS_NEED,
    ),
    Rule(
        "date-ocr",
        Category.DATE,
        r"(?<![\w/.\-])(?=[\d/\-]{0,9}[oli])[0-3oli]?[\doli]([/\-])[0-3oli]?[\doli]\1(?:[1li]9|2[0o])[\doli]{2}(?!\w)",
        check=lambda m: sum(map(str.isdigit, m[0])) >= 5,
    ),
    Rule("date-month-spoken-year", Category.DATE, rf"\b{MONTH},? (?:of )?{YEAR}\b", needs=_MONTHS_NEED, digits=False),
    Rule(
        "date-month",
        Category.DATE,
        rf"\b{_LONG}\b",
        score=0.85,
        check=stands_alone,
        needs=_MONTHS_NEED,
        digits=False,
    ),
    Rule(
        "date-month-context",
        Category.DATE,
        r"\b(?:in|since|last|this|next|early|late|mid|by|until|till|from|through|during|of|every"
        r"|and|between|before|after|around)[ -](?P<v>(?:May|March|MAY|MARCH|(?:Jan|Feb|Mar|Apr|Jun"
        r"|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?))(?![\w-])",
        cased=True,
        digits=False,
    ),
    Rule(
        "date-month-lower",
        Category.DATE,
        r"\b(?:in|since|last|next|until|by|from|this|early|late|mid)[ -](?P<v>jan|feb|apr|jun|jul|aug|sept?|oct"
        r"|nov|dec)(?![\w'-])",
        score=0.85,
        needs=_MONTHS_NEED,
        digits=False,
    ),
    Rule(
        "date-numeric",
        Category.DATE,
        rf"{START}(?:{_WD},? )?(?P<a>\d{{1,2}})\s?([/\-])\s?(?P<b>\d{{1,2}})(?:\s?[-–]\s?\d{{1,2}}(?=/))?\s?\2\s?'?"
        rf"(?:{_CENTURY}|\d\d)(?:{_TO}\d{{1,2}}\2\d{{1,2}}\2(?:{_CENTURY}|\d\d)(?!\d))?{_CLOCK}(?:{END}"
        rf"|(?=[a-z]{{3}}))",
        check=_numeric,
    ),
    Rule("date-bars", Category.DATE, rf"{START}\d{{1,2}}[|]\d{{1,2}}[|]{_CENTURY}(?!\w)", needs=("|",)),
    Rule(
        "date-dotted",
        Category.DATE,
        rf"{START}(?P<a>\d{{1,2}})\.(?P<b>\d{{1,2}})\.(?:(?:1[89]|20)\d\d|\d\d){_CLOCK}{END}",
        check=_numeric,
    ),
    Rule(
        "date-iso",
        Category.DATE,
        rf"{START}{_CENTURY}([-/.])(?:1[0-2]|0?[1-9])\1(?:3[01]|[12]\d|0?[1-9])(?!\d){_CLOCK}",
    ),
    Rule(
        "date-stamp",
        Category.DATE,
        r"(?<!\w)(?:1[89]|20)\d\d(?:1[0-2]|0[1-9])(?:3[01]|[12]\d|0[1-9])(?:[t ]?(?:[01]\d"
        r"|2[0-4])[0-5]\d(?:[0-5]\d)?(?:\.\d{1,6})?)?(?:z|[+-]\d{4})?(?!\w)",
        score=0.96,
    ),
    Rule(
        "date-solid",
        Category.DATE,
        r"\b(?:dob|d\.o\.b\.?|birth ?date|date of birth|born(?: on)?|date)[ :.=\-]{0,3}(?P<v>\d{6}"
        r"|\d{8})\b",
        needs=("dob", "d.o.b", "birth", "born", "date"),
    ),
    Rule("date-year-month", Category.DATE, rf"{START}(?:19|20)\d\d-(?:1[0-2]|0[1-9]){END}", score=0.85),
    Rule(
        "date-month-slash-year",
        Category.DATE,
        rf"{START}(?:1[0-2]|0?[1-9])[/](?:19|20)\d\d{END}|{START}(?:1[0-2]|0[1-9])-(?:19"
        rf"|20)\d\d{END}",
        score=0.9,
    ),
    Rule(
        "date-slash",
        Category.DATE,
        rf"(?P<lead>{BEFORE_DAY})(?::?\s{{1,2}}|:| ?\()(?:(?:the|on|was|is) )?(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]"
        rf"|[12]\d"
        rf"|0?[1-9])(?:{_TO}\d{{1,2}}/\d{{1,2}}(?:/\d{{2,4}})?|-\d{{1,2}})?){END}",
        score=0.85,
        check=is_day,
        needs=("/",),
    ),
    Rule(
        "date-weekday-slash",
        Category.DATE,
        rf"\b{_WD},? (?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]|[12]\d|0?[1-9]){END}",
        score=0.87,
        check=is_day,
        needs=("/",),
    ),
    Rule(
        "date-slash-second",
        Category.DATE,
        rf"{BEFORE_DAY}:?\s{{1,2}}\d{{1,2}}/\d{{1,2}}(?:, ?|;? (?:and|or|&) )(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]"
        rf"|[12]\d|0?[1-9])){END}",
        score=0.85,
        check=is_day,
        needs=("/",),
    ),
    Rule(
        "date-slash-bare",
        Category.DATE,
        rf"{START}(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>0[1-9]|1[1346-9]|2[1-35-9]"
        rf"|31)){END}(?! ?[\w ]{{0,12}}(?:nodes?|lymph|inch|in\b|cores))",
        score=0.75,
        check=_no_score,
        needs=("/",),
    ),
    Rule(
        "date-slash-value",
        Category.DATE,
        rf"{START}(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]|[12]\d|0?[1-9]))(?:: ?| )\d{{1,3}}\.\d{{1,2}}(?![\d/])",
        score=0.8,
        check=is_day,
        needs=("/",),
    ),
    Rule(
        "date-slash-brackets",
        Category.DATE,
        r"\((?:on |as of )?(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>1[13-9]|2[1-35-9]|31|0[1-9]))\)",
        score=0.8,
        check=_numeric,
        needs=("/",),
    ),
    Rule(
        "date-dash",
        Category.DATE,
        rf"\b(?:on|seen|visit|dated?|since|from|last [a-z]{{2,14}})(?: (?:[\d-]{{3,5}} and))? (?P<v>(?P<a>1[0-2]"
        rf"|0?[1-9])-(?P<b>1[3-9]|2\d|3[01])){END}",
        score=0.8,
        check=is_day,
        needs=("-",),
    ),
    Rule(
        "date-slash-range",
        Category.DATE,
        rf"{START}(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]|[12]\d|0?[1-9])\s?[-–]\s?(?:1[0-2]"
        rf"|0?[1-9])/(?:3[01]|[12]\d|0?[1-9])(?:/\d{{2,4}})?{END}",
        score=0.8,
        check=_numeric,
        needs=("/",),
    ),
    Rule(
        "date-slash-heading",
        Category.DATE,
        r"(?m)(?:^[ \t*\-]{0,4}|[ \t]{2}|\t|\b(?:md|do|rn|np|pa),? \()(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]"
        r"|[12]\d|0?[1-9]))(?=\s?[:\-–]"
        r"|,? \d\d:?\d\d\b|[ \t]*$|\))",
        score=0.85,
        check=_numeric,
        needs=("/",),
    ),
    Rule(
        "date-slash-clock",
        Category.DATE,
        rf"{START}(?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]|[12]\d"
        rf"|0?[1-9]))(?: at| ?@)? ?(?:\d{{1,2}}:\d\d(?: ?[ap]m)?|(?<=@ )\d{{4}}|(?<=@)\d{{4}})\b",
        score=0.85,
        check=_numeric,
        needs=("/",),
    ),
    Rule(
        "date-weekday",
        Category.DATE,
        rf"\b(?:(?:last|next|this|on) )?(?P<v>{_WEEKDAY}(?: the \d\d?(?:st|nd|rd|th))?)\b",
        score=0.85,
        check=_weekday,
        needs=("day",),
        digits=False,
    ),
    Rule(
        "date-weekday-short",
        Category.DATE,
        r"\b(?:[Ll]ast|[Nn]ext|[Tt]his|[Oo]n|[Ss]ince|[Uu]ntil|[Bb]y|[Oo]nset|[Ss]een|[Dd]ue|[Ss]tart(?:ed|ing)?"
        r"|[Ff]ell|[Bb]ack)"
        r"(?: (?:UC|ED|ER|PCP|late|early))? (?P<v>(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\b)(?!\w)"
        r"|\b(?:Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\.?,? the \d{1,2}(?:st|nd|rd|th)\b",
        score=0.85,
        cased=True,
        digits=False,
    ),
    Rule(
        "date-season",
        Category.DATE,
        rf"\b(?:(?:last|this past|past|early|late|mid|the|in|this|next"
        rf"|since)[- ]){{1,3}}(?P<v>{_SEASON}(?:,? (?:of )?{YEAR4})?)(?= ?[,.;)]|\s(?:of|and|when|she"
        rf"|he|they|with|after|before)\b|\s?$)|\b(?:{_SEASON},? (?:of )?{YEAR4})",
        score=0.8,
        check=lambda m: not m[0].startswith(("the fall", "this fall")) or m[0][-1].isdigit(),
        needs=("spring", "summer", "fall", "autumn", "winter"),
        digits=False,
    ),
    Rule(
        "date-quarter",
        Category.DATE,
        rf"\b(?:q[1-4]|(?:first|second|third|fourth) quarter)(?: of|,)? ?{YEAR4}",
        score=0.85,
    ),
    Rule(
        "date-day-of-month",
        Category.DATE,
        r"\b(?:on|by|until|till|since|before|after|through) the (?P<v>(?:3[01]|[12]\d|[1-9])(?:st|nd|rd"
        r"|th))(?= ?[,.;)]| of (?:this|last|next"
        r"|the) month|\s?$| (?:at|and|she|he|they|with|for|we)\b)",
        score=0.8,
        needs=(" the ",),
    ),
    Rule(
        "date-old-birth-year",
        Category.DATE,
        r"\b(?:born(?: in)?|birth year|year of birth|yob|b\.)[: ]{1,2}(?P<v>1[89]\d\d)\b",
        score=0.9,
        check=lambda m: is_old(int(m["v"])),
        needs=("born", "birth", "yob", "b."),
    ),
)
