"""Labelled identifiers: a label names the category, and what follows it is the value."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from osler.deidentify.text.en.labels import IS, SPELLED
from osler.deidentify.text.engine import Document
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category, Span

SCORE: Final = 0.995


class _Label(NamedTuple):
    name: str
    category: Category
    sure: str
    """Labels whose every numbered value is an identifier; alternatives, each beginning with a letter."""
    doubtful: str
    """Labels that are also ordinary words: the value must look like an identifier."""


_PERSON: Final = r"(?:patient|pt)(?:'?s)?[ ._]?(?:id|identifier|identification|no|number|num|#|mrn)"
_LABELS: Final = (
    _Label(
        "mrn",
        Category.MRN,
        rf"mrn(?:s|o)?|m\.r\.n\.?|mr(?= ?[#:]|$)|mr (?:no|num)|med(?:ical)?[. ]{{0,2}}rec(?:ord)?s?|{_PERSON}|empi"
        rf"|mpi|pmi"
        r"|ur ?n|u?mrn|ur (?:no|number)|nhs|nhi|chi (?:no|number)|health record|pid|crn|hrn|phn|medrec|ehr (?:id|no)"
        r"|chi(?= ?[#:=])|ehr(?= ?#)|epic id",
        r"record|hosp(?:ital)?|chart|patient|pt|unit|pas|dossier",
    ),
    _Label(
        "health-plan",
        Category.HEALTH_PLAN,
        r"member(?:ship)?[ _]?(?:id|no|number|num|card)|subscriber|beneficiary|policy ?holder"
        r"|insured(?:'s)?|mem(?= ?[:#]|$)|health (?:plan|card|insurance)(?:'s)?|medi-cal|mbi|hicn?|tricare|bcbs\w{0,3}"
        r"|grp|subscr|cin(?= ?[:#\d])|rx ?id"
        r"|blue cross(?: blue shield)?(?: of [a-z]{4,14})?|blue shield|aetna|cigna|humana|united ?health(?:care)?|uhc"
        r"|anthem|payer id|rx ?(?:bin|pcn|grp|group)|ohip|hmo|certificate of insurance|policy (?:no|number|id)",
        r"plan|insurance|ins|member|policy|group|medicare|medicaid|kaiser|ppo|payer|molina|centene|wellcare"
        r"|highmark|carefirst|premera|regence"
        r"|excellus|emblem(?:health)?|fidelis|amerigroup|caresource|healthnet|champva|umr|ambetter|coventry|oscar|optum"
        r"|secondary|primary ins|sponsor",
    ),
    _Label(
        "account",
        Category.ACCOUNT,
        r"acc(?:oun)?ts?|a/c|csn|har|(?:visit|encounter) (?:no|num|number|id)|iban|swift|(?:credit|debit|bank)"
        r" ?card|mastercard|amex|routing|aba (?:no|number|routing)|invoice|guarantor|bank account|bitcoin|btc",
        r"fin|visit|encounter|card|visa|billing|bill|financial|savings|checking|wallet|bank|bic",
    ),
    _Label(
        "license",
        Category.LICENSE,
        r"licen[cs]es?|lic|dea|npi|d\.?l\.?(?= ?(?:no|num|#|:)|$)|driver'?s? (?:licen[cs]es?|id)|passport|upin|state id"
        r"|gmc|nmc(?: pin)?|cdl|medical board",
        r"certificate|cert|certification|permit|bar|commission|registration",
    ),
    _Label(
        "vehicle",
        Category.VEHICLE,
        r"vins?|vehicle id(?:entification)?|(?:licen[cs]e|number|car|vehicle) plates?|(?:car|vehicle)"
        r" (?:tag|reg(?:istration)?)|registration plates?|(?:boat|motorcycle|trailer|aircraft|truck"
        r"|moped) reg(?:istration)?",
        r"vehicle|veh|plates?|tag|(?:handicap(?:ped)? |parking |disabled )?placard|parking permit|title"
        r"|hull(?: (?:id|no|number))?|hin|tail (?:no|number)",
    ),
    _Label(
        "device",
        Category.DEVICE,
        r"serial|s/n|sn|ser\.?(?= ?(?:#|no\b|num))|udi(?:-[dp]i)?|imei|meid|device (?:id|identifier|serial|no"
        r"|number)|imsi|iccid"
        r"|asset tag|lot (?:no|number)",
        r"device|pacemaker|icd|implant|pump|generator|stimulator|lead|ventilator|lot|batch|model|asset",
    ),
    _Label(
        "biometric",
        Category.BIOMETRIC,
        r"finger ?prints?|voice ?prints?|retinal? scans?|iris scans?|face ?(?:print|id|template)|facial recognition"
        r"|palm ?(?:prints?|vein(?: id)?|scans?)|hand ?(?:prints?|geometry)|biometrics?(?: (?:enrol{1,2}ment"
        r"|template|id))?"
        r"|dna (?:profile|sample|id)|face (?:recognition|scan|geometry)|facial (?:id|scan|template|geometry)"
        r"|thumb ?prints?"
        r"|(?:finger )?vein (?:id|pattern|scan)|iris (?:id|code|template|pattern)|retinal? (?:id|pattern|template)|afis"
        r"|voice ?(?:id|biometrics?|template|signature)|finger (?:id|scan|template)|gait (?:id|signature)"
        r"|foot ?prints?",
        r"retinal?|iris|thumb|enrol{1,2}ment",
    ),
    _Label("photo", Category.PHOTO, r"full[- ]face|photo id", r"photo(?:graph)?s?|image|picture|video"),
    _Label(
        "labelled-id",
        Category.OTHER_ID,
        r"id|uid|uuid|guid|accession|accn?|specimen (?:id|no|number)|tax id|ein|unos(?: id)?|dod(?: id)?"
        r"|military id|employee (?:id|no|number)|(?:user|login) ?id|user ?name|badge|claim (?:no|number|id)"
        r"|pass(?:word|code|phrase)|code ?word|record locator|snap(?:chat)?|insta(?:gram)?|tik ?tok|twitter|discord"
        r"|telegram|venmo|cash ?app|we ?chat|handle|screen ?name|prior auth(?:orization)?|requisition|barcode|docket"
        r"|inmate|a#|alien (?:no|number|reg\w*)|uscis|doc ?#|tdcj|cdcr|c-?file|va file"
        r"|(?:run|trip|dispatch|incident|pcr) ?(?:#|no\b|num\w*)",
        r"specimen|path(?:ology)?|surg(?:ical)? path|surgical(?= ?[#:]| no\b)|police report|cytology|lab|sample|req"
        r"|order|case|study|trial|subject|participant"
        r"|enrol?lment|exam|report|employee|student|staff|prescription|rx|claim|confirmation|reference|ref|ticket"
        r"|referral|auth(?:orization)?|donor|transaction|tracking|user|login|document|doc|file|identification"
        r"|national|personal|military|incident|dictation|job|dt|screening|randomi[sz]ation|kit|protocol|booking"
        r"|request|our ref|complaint|warrant|badge|crossmatch",
    ),
)
_HAS_NOUN: Final = re.compile(r"#|\b(?:no|nos|nr|nbr|num|numbers?|ids?|identifier|code|ending|card|serial)\b|n[o°º]\.")
_ASSIGNS: Final = re.compile(r"[:=]|\bis\b")
_TOKEN: Final = re.compile(
    r"[#+]?[a-z0-9*](?:[a-z0-9*]|[-._/\\+$^](?=[a-z0-9*$])){0,63}(?![a-z0-9])|\(01\)\d{14}[\da-z()\-]{0,60}"
)
_GROUPS: Final = re.compile(
    r"(?:[a-z]{0,3}\d{2,5}(?: \d{1,6}){1,5}(?:[- ][a-z]{1,2})?|[a-z]{1,2}\d\d(?: [a-z0-9]{1,4}){3,7}"
    r"|[a-z]\d{3,4} \d{2} \d{6}|\d{6,9} \d{2,4}|[a-z]{1,3} \d{2,5}(?: \d{2,5}){1,5}(?: (?:[b-hj-z](?!\w)"
    r"|[ai](?= ?[.,;)\n]|\s?$)))?)"
    r"(?![\w%]|/\d|[.:]\d)(?: ?/ ?\d{1,2}(?!\w))?"
)
_APART: Final = re.compile(
    r"\d(?:[ \-]\d){4,19}(?!\w)|\d{3,5}\n\d{1,5}(?![\w/]|[ -]?(?:yo\b|y/o|years?|yrs?|[mf]\b)|[.:-]\d)"
)
_LETTERS_FIRST: Final = re.compile(
    r"(?!and|for|the|was|at|of|on|per|to|by|is|as)[a-z]{1,3} (?:\d{4,10}(?: [a-z](?=[.,;)\n]|$))?|\d{2}\.\d{4,8}"
    r"|[a-z]{1,2}\d{4,9})(?!\w)"
)
_DEPENDENT: Final = re.compile(r"(?<=\d{5}) \d{2}(?=[,;.)\n]|\s?$)")
"""The person code of a member of a family."""
_PLATE: Final = re.compile(
    r"(?:[a-z]{2} )?(?=[a-z0-9\- ]{0,7}\d)(?=[a-z0-9\- ]{0,7}[a-z])"
    r"(?:(?!(?:19|20)\d\d )(?:\d{1,2}[a-z]{1,2}\d{1,3}[- ]\d{2,4}|[a-z]{2} \d{4} [a-z]{2}"
    r"|[a-z]{2}\d\d[- ]?[a-z]{3}|[a-z]{1,4}[- ]?\d{1,4}[a-z]?"
    r"|\d{1,4}[- ]?[a-z]{1,4}(?:[- ]?[a-z0-9]{2,4})?|[a-z\d]{5,8}))(?![a-z0-9])"
)
_WORD: Final = re.compile(r"[a-z][\w.\-@]{2,40}")
_SAYS_WORD: Final = re.compile(
    r"user ?(?:name|id)?|login|rx ?pcn|unos(?: id)?|passport|udi|pass(?:word|code|phrase)|code ?word|snap(?:chat)?"
    r"|insta(?:gram)?|tik ?tok"
    r"|twitter|discord|telegram|venmo|cash ?app|we ?chat|handle|screen ?name"
)
_MEASURE: Final = re.compile(
    r"\s?(?:%|m(?:g|cg|l|m|mol|eq)\b|mmhg|cm\b|kg\b|bpm|iu\b|units?\b|years?|yrs?|days?|weeks?|months?|hours?|x\b"
    r"|fr\b|french|gauge|ma\b|views?\b|per\b|cells?\b|french)"
)
_NO_VALUE: Final = re.compile(
    r"\d{1,2}/\d{1,2}(?:/\d{2,4})?|(?:19|20)\d\d(?:[-/.]\d\d?[-/.]\d\d?)?|\d{1,2}-\d{1,2}-(?:\d\d|\d{4})|\d+\.\d+"
    r"|\d{1,4}/\d+|\d{1,3}-\d{1,3}"
    r"|\d{1,2}\.\d{1,2}\.\d{2,4}|.*(?:yo[mf]?|mg|ml)"
)
_ACCESSORY: Final = re.compile(r"[a-z]{1,3}\d{1,2}(?:-[a-z]?\d{1,2})?")


def _grouped(fragments: Iterator[str]) -> str:
    """Return one pattern of many, by their first letters, so that a word is tried with few."""
    by_letter: dict[str, list[str]] = {}
    for fragment in fragments:
        by_letter.setdefault(fragment[0] if fragment[0].isalpha() else "", []).append(fragment)
    return "|".join(
        f"(?={letter})(?:{'|'.join(sorted(group, key=len, reverse=True))})" for letter, group in by_letter.items()
    )


def _alternatives(labels: str) -> Iterator[str]:
    """Split a pattern at the bars outside of its brackets."""
    depth = start = 0
    for at, character in enumerate(labels):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and not depth:
            yield labels[start:at]
            start = at + 1
    yield labels[start:]


class Labelled:
    """Finds the values of labels, in one pass over the text."""

    def __init__(self) -> None:
        every = (part for label in _LABELS for part in _alternatives(f"{label.sure}|{label.doubtful}"))
        self._label = re.compile(rf"(?<![a-z0-9])(?:{_grouped(every)})(?![a-z])")
        self._is = re.compile(IS)
        self._kinds = tuple((label, re.compile(label.sure), re.compile(label.doubtful)) for label in _LABELS)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The table, for documentation."""
        return tuple(Rule(label.name, label.category, f"{label.sure}|{label.doubtful}", SCORE) for label in _LABELS)

    def spans(self, document: Document) -> Iterator[Span]:
        """Return the values that stand behind labels."""
        lower = document.shadow.lower
        for match in self._label.finditer(lower):
            between = self._is.match(lower, match.end())
            start = between.end() if between else match.end()
            label, sure = self._kind(lower, *match.span())
            joint = match[0][-9:] + lower[match.end() : start]
            end = _end_of_value(lower, start, joint, label, sure)
            if end > start:
                yield Span(
                    start, end, label.category, SCORE - 0.006 * (label.category is Category.OTHER_ID), label.name
                )

    def _kind(self, lower: str, start: int, end: int) -> tuple[_Label, bool]:
        for label, sure, doubtful in self._kinds:
            if sure.fullmatch(lower, start, end):
                return label, True
            if doubtful.fullmatch(lower, start, end):
                return label, False
        return _LABELS[-1], False


def _end_of_value(lower: str, start: int, joint: str, label: _Label, sure: bool) -> int:
    """Return where the value ends that begins at `start`; `start` itself when there is none."""
    if label.category is Category.VEHICLE:
        plate = _PLATE.match(lower, start)
        if plate and sum(map(str.isdigit, plate[0])) >= (2 if sure else 3):
            return max(plate.end(), _token_end(lower, start))
    said = SPELLED.match(lower, start)
    if said and (sure or _ASSIGNS.search(joint) or _HAS_NOUN.search(joint)):
        return said.end()
    groups = _GROUPS.match(lower, start)
    if groups and sum(map(str.isdigit, groups[0])) >= (5 if sure else 7) and not _MEASURE.match(lower, groups.end()):
        return max(groups.end(), _token_end(lower, start))
    apart = _APART.match(lower, start)
    if apart and (sure or _HAS_NOUN.search(joint)):
        return apart.end()
    prefixed = _LETTERS_FIRST.match(lower, start)
    if prefixed and (sure or _HAS_NOUN.search(joint) or _ASSIGNS.search(joint)):
        return prefixed.end()
    token = _TOKEN.match(lower, start)
    if token and _is_value(token, joint, sure):
        suffix = _DEPENDENT.match(lower, token.end()) if label.category is Category.HEALTH_PLAN else None
        return suffix.end() if suffix else token.end()
    word = _WORD.match(lower, start)
    if word and _SAYS_WORD.search(joint) and (_ASSIGNS.search(joint) or '"' in joint):
        return word.end()
    return start


def _token_end(lower: str, start: int) -> int:
    token = _TOKEN.match(lower, start)
    return token.end() if token else start


def _is_value(token: re.Match[str], joint: str, sure: bool) -> bool:
    value = token[0]
    digits = sum(map(str.isdigit, value))
    if not digits or _MEASURE.match(token.string, token.end()):
        return False
    named = _HAS_NOUN.search(joint) is not None
    if _SAYS_WORD.search(joint) and len(value) >= 5:
        return True
    if sure or named:
        glued = joint[-1:].isalpha() or joint[-1:] == ""
        return digits >= (4 if glued else 2) or (len(value) >= 4 and not _ACCESSORY.fullmatch(value))
    if _NO_VALUE.fullmatch(value) or _ACCESSORY.fullmatch(value):
        return False
    if value.isdigit():
        return digits >= 5 and not value.endswith("000")
    shortest = 5 if _ASSIGNS.search(joint) else 6
    return digits >= 3 and (len(value) >= shortest or "-" in value)
