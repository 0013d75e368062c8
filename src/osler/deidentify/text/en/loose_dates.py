"""Dates without a year or a month, and numbers that only the words before them make a date."""

import re
from typing import Final

from osler.deidentify.text.en.dates import MONTH
from osler.deidentify.text.en.day_forms import is_day_after
from osler.deidentify.text.en.numbers import NUMBER_WORD, YEAR
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_DAY_TH: Final = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)"
_WEEKDAY: Final = r"(?:mon|tues?|weds?|wednes|thu(?:rs?)?|fri|sat|satur|sun)(?:day)?"
_EVENTS: Final = (
    r"(?:came|went|comes|goes|evening of|morning of|night of|afternoon of|started|starting|starts|began|begun|worse"
    r"|better|onset|since|fell|falls?|seen|admitted|discharged|last"
    r"|until|til|till"
    r"|by|due|back|again|around|about|from|thru|through|before|after|happened|occurred|scheduled|sched|rescheduled|appt"
    r"|appointment|surgery|refill(?:ed)?|dose|shot|visit|labs?|returned|returns?|quit|stopped|died|born|delivered"
    r"|moved|it's|was"
    r"|then|once|ended|ends|arrived|left|expires?|reschedule|move|renewed|signed|drawn|collected|resulted|discharge"
    r"|admission|fever"
    r"|rash"
    r"|given|clinic|procedure|injury|accident|pain|symptoms|dialysis|infusion|chemo|cycle|for|on)"
)
_AFTER: Final = (
    r"(?=[,.;)?!]|\s?$|\s?\n| (?:and|but|at|with|when|then|she|he|they|for|we|pt|w/|so|because|until|to (?:the|mon"
    r"|tue|wed|thu|fri|sat|sun)[a-z]{0,6}|or|of (?:this"
    r"|last|next"
    r"|the) month)\b| \d{1,2}(?::\d\d)? ?[ap])"
)
_MONTH_ABROAD: Final = (
    r"(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre|ene|abr|ago|dic"
    r"|janvier"
    r"|f[eé]vrier|avril|juin|juillet|ao[uû]t|septembre|octobre|novembre|d[eé]cembre|januar|februar|m[aä]rz|juni|juli"
    r"|oktober"
    r"|dezember|janeiro|fevereiro|mar[cç]o|maio|junho|julho|setembro|outubro|dezembro)"
)
"""Months in Spanish, French, German and Portuguese, which English notes quote."""

_HISTORY: Final = (
    r"(?:mi|cabg(?:x\d)?|cva|tia|dvt|pe|chole|appy|hyst|tah|tkr|tka|thr|tha|icd|ppm|pci|stent(?:s|ed)?|colonoscopy"
    r"|egd|egds"
    r"|cath|dx|dx'?d|diagnosed|surgery|turp|mastectomy|lumpectomy|xrt|chemo|bmt|transplant|c-?section|cs|nsvd"
    r"|ablation|repair"
    r"|fx|orif|amputation|bka|aka|hysterectomy|cholecystectomy|appendectomy|tonsillectomy|splenectomy|since|in|quit"
    r"|last|bypass)"
)


def _no_habit(match: re.Match[str]) -> bool:
    """Check: a day of the week, and no weekly habit."""
    before = match.string[max(0, match.start() - 30) : match.start()]
    after = match.string[match.end() : match.end() + 8]
    return not re.search(
        r"(?:every|each|q|/|-|through|thru|(?:mon|tue|wed|thu|fri|sat|sun)[a-z]{0,6} (?:to"
        r"|and)) ?$",
        before,
    ) and not re.match(r"'?s\b|/|-| ?(?:&|and|through|thru|to) ", after)


def _no_drug(match: re.Match[str]) -> bool:
    return "d" not in load_lexicon().get(match["word"], ())


RULES: Final = (
    Rule(
        "date-day-of-month",
        Category.DATE,
        rf"\b{_EVENTS}(?: (?:on|by|until|til))? the (?P<v>{_DAY_TH}){_AFTER}",
        0.8,
        (" the ",),
        lambda m: (
            not re.match(
                r" (?:and|to) \d{1,2}(?:st|nd|rd|th) (?:rib|toe|finger|digit|met|percent)",
                m.string[m.end() : m.end() + 20],
            )
        ),
    ),
    Rule(
        "date-weekday-day",
        Category.DATE,
        rf"(?<![\w/])(?P<v>{_WEEKDAY}\.?,? (?:the )?{_DAY_TH})(?!\w)",
        0.88,
    ),
    Rule(
        "date-weekday-short",
        Category.DATE,
        r"(?<![\w/\-])(?P<v>weds|thurs|tues)(?![\w/\-])\.?",
        0.8,
        ("weds", "thurs", "tues"),
        _no_habit,
        digits=False,
    ),
    Rule(
        "date-weekday-short",
        Category.DATE,
        r"\b(?:missed|dialysis|no-?show|cancell?ed|skipped|delivered|delivery|coming|returns?|rtc|arriv(?:es?|ing"
        r"|ed)|appt"
        r"|f/u|follow-?up|recheck|visit|closed"
        r"|discharged?|d/c|admit(?:ted)?|moved|eta|avail(?:able)?|last|next|til|until|late|early"
        r"|since) (?:on )?(?P<v>mon|tue|wed|thu|thur|fri|sat|sun)(?=[,.;)]|\s?$| (?:\d|at|am|pm|a\.m|p\.m|night"
        r"|morning|afternoon|w/|with|for|and)\b)",
        0.8,
        check=lambda m: (
            not re.match(r"[ ,]{0,2}(?:and|&|/|,) ?(?:mon|tue|wed|thu|fri|sat|sun)", m.string[m.end() : m.end() + 10])
        ),
        digits=False,
    ),
    Rule(
        "date-dotted-day",
        Category.DATE,
        r"\b(?:lmp|edc|edd|dob|due|due date|ega|date|dated|born|seen|visit)[ :]{1,3}(?:is |was |on )?(?P<v>(?:1[0-2]"
        r"|0?[1-9])\.(?:3[01]|[12]\d|0[1-9]))(?![\w%]|\.\d| ?(?:mg|ml|cm|weeks?|wks?|w))",
        0.85,
        (".",),
    ),
    Rule(
        "date-month-abbreviated",
        Category.DATE,
        r"\b(?P<v>(?:jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)\b\.?)(?= of (?:last|this|next|that) year"
        r"| (?:visit|appt|appointment|labs?|scan|mri|ct|echo|note)\b)",
        0.85,
        digits=False,
    ),
    Rule(
        "date-dash",
        Category.DATE,
        r"\b(?:lmp|edc|edd|due date|dob)[ :]{1,3}(?:is |was )?(?P<v>(?:1[0-2]|0?[1-9])-(?:3[01]|[12]\d"
        r"|0?[1-9]))(?![\w/%-]|\.\d)",
        0.88,
        ("-",),
    ),
    Rule(
        "date-slash-heading",
        Category.DATE,
        r"(?m)^(?:[a-z][a-z ]{0,30} )?(?P<word>[a-z]{3,20}) (?P<v>(?P<a>1[0-2]|0?[1-9])/(?P<b>3[01]|[12]\d|0?[1-9])): ",
        0.8,
        ("/",),
        is_day_after,
    ),
    Rule(
        "date-slash-bracket",
        Category.DATE,
        r"\) (?P<v>(?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))(?=[;,]|\.(?!\d)|\s?$)",
        0.78,
        ("/",),
        lambda m: not m["v"].endswith(("/5", "/10")),
    ),
    Rule(
        "date-month-abbreviated",
        Category.DATE,
        r"\b(?:last|next|repeat|due|recheck) [a-z0-9]{2,12} (?:in )?(?P<v>jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov"
        r"|dec)(?=[.,;)]|\s?$)",
        0.83,
        digits=False,
    ),
    Rule(
        "date-dash-clock",
        Category.DATE,
        r"(?<![\w.\-/])(?:(?:[01]\d|2[0-3]):?[0-5]\d (?P<v>(?:1[0-2]|0?[1-9])-(?:3[01]|[12]\d|0?[1-9]))(?=:|,? [a-z])"
        r"|(?:1[0-2]|0?[1-9])-(?:3[01]|[12]\d|0?[1-9]) (?:@ ?|at )?(?:[01]\d|2[0-3]):?[0-5]\d(?![\w%/-]|\.\d))",
        0.82,
        ("-",),
        lambda m: not re.match(r":? ?(?:mg|ml|cm|units?|mmhg|l\b|liters?|%)", m.string[m.end() : m.end() + 8]),
    ),
    Rule(
        "date-dash",
        Category.DATE,
        r"\b(?:call|called|flu shot|vaccine|shot|booster|tdap|arrives?|arrived|arrival|spoke|message|visit|clinic"
        r"|dos|preop"
        r"|surgery) (?:on )?(?P<v>(?:1[0-2]|0?[1-9])-(?:3[01]|[12]\d|0?[1-9]))(?=[:.,;)]|\s?$)",
        0.8,
        ("-",),
    ),
    Rule(
        "date-foreign",
        Category.DATE,
        rf"\b(?:\d{{1,2}} de {_MONTH_ABROAD}(?: del? (?:19|20)\d\d)?|{_MONTH_ABROAD}\.?(?: del?)? (?:19|20)\d\d)(?!\w)",
        0.96,
        (" de ", "e", "o"),
    ),
    Rule(
        "date-weekday-short",
        Category.DATE,
        r"(?<![\w/])(?P<v>Mon|Tues?|Wed|Thu(?:rs?)?|Fri|Sat|Sun)\.? (?=(?:night|morning|evening|eve|afternoon|noon"
        r"|AM|PM|am|pm|a\.m|p\.m)(?!\w))",
        0.85,
        cased=True,
        digits=False,
    ),
    Rule(
        "date-month-lower",
        Category.DATE,
        r"\b(?:rtc|return|due|follow-?up|f/u|appt|recheck|scheduled|until|til|by|repeat|next) (?:in )?(?P<v>may"
        r"|march)(?=[.,;)]|\s?$)",
        0.83,
        digits=False,
    ),
    Rule("date-month-dotted", Category.DATE, r"(?<![\w.,])(?:0[1-9]|1[0-2])\.(?:19|20)\d\d(?![\w.%])", 0.88, (".",)),
    Rule(
        "date-month-year-short",
        Category.DATE,
        rf"\b{_HISTORY}[ :]{{1,2}}(?:in |\()?(?P<v>(?:1[0-2]|0?[1-9])/(?:[5-9]\d|[34][2-9]))(?![\w/%]|\.\d)",
        0.85,
        ("/",),
        lambda m: not re.match(r"bp|mmhg", m.string[m.end() : m.end() + 6].strip()),
    ),
    Rule(
        "date-slash",
        Category.DATE,
        r"\b(?:held|resumed|restarted|changed?|revised|revision|implanted|cabgx?\d?|pci|stent(?:ed|s)?|orif|tka|tha"
        r"|lap chole|appy|c-?section|nsvd|s/p [a-z]{2,12}x?\d?"
        r"|i&d|flap|debridement|washout|graft|closure|vac change|ex[- ]?fix|extubation|trach|peg|picc|crrt|plex|ivig"
        r"|lp|eeg|bronch|tee|tte|cta|mra|bmt|transplant(?:ed)?|listed|consented|evaluated|found down|tumor board"
        r"|conference|meeting|mtg|court|hearing|trial|consult(?:ed)?|dictated|reported|arrest(?:ed)?|code blue"
        r"|rosc|arrived|departed|married"
        r"|divorced|died|passed|expired"
        r"|moved|retired|fell|crash|mvc|mva|accident|incident"
        r"|assault(?:ed)?|arrested|released|hospitalized|vaccinated|immunized|titer|last bm|bm|lbm|void(?:ed)?|xfer"
        r"|transfer(?:red)?|notified|paged|called|emailed|faxed|spoke|message"
        r"|discussed with (?:dr\.? )?[a-z]{2,15}|(?:d/w|per|by|with) (?:dr\.? )?[a-z]{2,15}) (?:on |from "
        r"|at )?(?P<v>(?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))(?![\w/%]|[-.]\d"
        r"| ?(?:mg|ml|strength|pain|tabs?|murmur|positive|nodes?|on (?:the )?(?:pain|scale)))",
        0.83,
        ("/",),
        lambda m: not (m["v"].endswith("/10") and m[0].startswith(("change", "held", "bm", "void", "fell", "with"))),
    ),
    Rule(
        "date-dash",
        Category.DATE,
        r"\b(?:recess|school|practice|game|home|work|fall|mvc|accident|injury|change[d]?|placed|done|implanted"
        r"|revised|revision|surgery|admitted|cath|echo|mri|ct|cxr|visit|appt"
        r"|procedure|delivery|onset|refilled|labs) (?:on )?"
        r"(?P<v>(?:1[0-2]|0?[1-9])-(?:1[3-9]|2\d|3[01]))(?=[.,;)]|\s?$)",
        0.8,
        ("-",),
    ),
    Rule(
        "date-spoken-birth",
        Category.DATE,
        rf"\b(?:d\.o\.b\.?|dob|visit|date|dos|seen|born)[: ]{{1,3}}(?:is |was |on )?(?P<v>{NUMBER_WORD}(?:(?:[-, ]"
        rf"| slash | dash ){{1,3}}{NUMBER_WORD}){{2,9}})\b",
        0.95,
        ("d.o.b", "dob", "visit", "date", "dos", "seen", "born"),
        digits=False,
    ),
    Rule(
        "date-spoken-year",
        Category.DATE,
        rf"\b{MONTH}(?: the)? \d{{1,2}}(?:st|nd|rd|th)?,? (?:of )?{YEAR}\b",
        0.96,
    ),
    Rule(
        "date-holiday",
        Category.DATE,
        r"\b(?:(?:st\.? )?paddy'?s day|turkey day|valentines(?: day)?|(?:mothers|fathers|veterans|presidents"
        r"|st\.? patricks) day|spring break|winter break|new years(?: eve| day)?|nowruz|purim"
        r"|sukkot|epiphany|all saints'? day|day of the dead"
        r"|d[ií]a de los muertos|flag day|tax day|april fool'?s(?: day)?|black friday|cyber monday|patriots'? day"
        r"|pioneer day|indigenous peoples'? day|mlk weekend|labor day|july 4th"
        r"|july fourth|4th of july|vesak|eid)\b(?:,? (?:of )?(?:19|20)\d\d)?(?!'?s? (?:spot|tetanus))",
        0.96,
        (
            "valentine",
            "day",
            "break",
            "year",
            "nowruz",
            "purim",
            "sukkot",
            "epiph",
            "muertos",
            "fool",
            "mlk",
            "july",
            "vesak",
            "eid",
            "monday",
        ),
        digits=False,
    ),
    Rule(
        "date-compact",
        Category.DATE,
        r"(?<![\w.\-/])(?:0[1-9]|[12]\d|3[01])(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)(?:\d{4}"
        r"|\d{2})?(?!\w)",
        0.93,
    ),
)
