"""More forms of ages, numbers and serials: said aloud, misread by a scanner, or told by the noun before them."""

import re
from typing import Final

from osler.deidentify.text.en.numbers import DIGIT, OVER_89
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_OLD: Final = r"(?P<v>9\d|1[01]\d)"
_LETTER_AS: Final = r"[a-z] (?:as in|for|like) [a-z]{3,10}"
_SPELT: Final = rf"{_LETTER_AS}(?:[, ]{{1,3}}(?:{_LETTER_AS}|{DIGIT}|\d{{1,4}}|[a-z])(?!\w)){{3,20}}"
_NUMBERED: Final = r"(?=[a-z\-]{0,12}\d)"
_NETWORKS: Final = r"(?:wechat|instagram|insta|ig|snapchat|facebook|twitter|tiktok|telegram|skype|venmo|discord|paypal)"
_CARS: Final = (
    r"(?:jeep|ford|chevy|chevrolet|toyota|honda|nissan|hyundai|kia|subaru|mazda|dodge|tesla|bmw|audi|volvo|buick|lexus"
    r"|gmc|acura|infiniti|cadillac|chrysler|mercedes|mitsubishi|harley|camry|corolla|civic|accord|altima|f-?150"
    r"|silverado|tahoe|prius|rav4|wrangler|cr-?v|car|truck|van|suv|sedan|pickup|minivan|motorcycle|scooter|moped|atv)"
)


def _code(match: re.Match[str]) -> bool:
    return sum(map(str.isdigit, match["v"])) >= 3 and len(match["v"]) >= 6


def _no_fever(match: re.Match[str]) -> bool:
    return not re.match(r"(?:temp|tmax|fever|temperature)\b", match[0], re.IGNORECASE)


RULES: Final = (
    Rule("age-years", Category.AGE, rf"(?<![\w.,/]){_OLD}[ -]?(?:yrs?|years?|y)(?=\))", 0.9),
    Rule(
        "age-after-name",
        Category.AGE,
        rf"\b[A-Z][\w'\-]{{1,24}},? \(?{_OLD} ?[MFmf](?=\)|\s[A-Zwph]|,)",
        0.85,
        check=_no_fever,
        cased=True,
    ),
    Rule("age-said", Category.AGE, rf", (?P<v>{OVER_89})(?=[.,;)]|\s?$)", 0.8, ("ninety", "hundred"), digits=False),
    Rule(
        "age-will-be",
        Category.AGE,
        rf"\b(?:will be|'ll be|turn|turned|turning) (?P<v>{OVER_89}|9\d|1[01]\d)(?= (?:on|in|next|this)\b|[,.;)]|\s?$)",
        0.93,
        ("be", "turn"),
        digits=False,
    ),
    Rule(
        "age-of-kin",
        Category.AGE,
        rf"\b(?:(?:grand)?(?:mother|father|ma|pa)|mom|dad|aunt|uncle|sister|brother|wife|husband)(?: died| passed)?"
        rf" at (?P<v>{OVER_89}|9\d|1[01]\d)(?![\w%/]|[.:]\d)",
        0.93,
        (" at ",),
        digits=False,
    ),
    Rule(
        "ssn-apart",
        Category.SSN,
        r"(?<![\w.\-])\d(?: ?\d){2} {0,2}- {0,2}\d ?\d {0,2}- {0,2}\d(?: ?\d){3}(?![\w\-])",
        0.95,
        ("-",),
    ),
    Rule(
        "health-plan-spelt",
        Category.HEALTH_PLAN,
        rf"\b(?:insurance|policy|member|plan|subscriber|medicare|group)\b[a-z :]{{0,24}}?[:,]? (?P<v>{_SPELT})",
        0.97,
        (" as in ", " for ", " like "),
        digits=False,
    ),
    Rule("spelt", Category.OTHER_ID, rf"\b{_SPELT}", 0.85, (" as in ",), digits=False),
    Rule("phone-us", Category.PHONE, r"(?<![\w.\-/])(?:\+?1 ?)?\(\d{3}\) ?\d{7}(?!\d)", 0.93, ("(",)),
    Rule("phone-extension", Category.PHONE, r"\b(?:ext(?:ension)?\.?[ :]{1,2}(?P<v>\d-\d{4})|x\d-\d{4})(?![\w-])", 0.9),
    Rule(
        "plate",
        Category.VEHICLE,
        rf"\b{_CARS}(?: plates?)?,? (?P<v>(?=[a-z]{{0,4}}\d)(?=\d{{0,4}}[a-z])(?=[a-z\d]{{0,6}}\d[a-z\d]{{0,4}}\d)"
        r"[a-z\d]{6,8})(?!\w)",
        0.85,
        check=lambda m: sum(map(str.isdigit, m["v"])) >= 3 and not re.search(r"(?:19|20)\d\d", m["v"]),
    ),
    Rule(
        "plate",
        Category.VEHICLE,
        rf"\b{_CARS}(?:,? [a-z]{{2,10}}){{0,3}}[,:]? [(#]?(?P<v>[a-z]{{2,3}}[- ]\d{{3,4}}|[a-z]{{3}}\d{{3,4}}"
        rf"|\d{{3}}[- ][a-z]{{3}}"
        r"|\d[a-z]{3}\d{3})(?![\w/%-]| ?(?:mph|miles|mg|cc))",
        0.85,
        check=lambda m: (
            m["v"][:2] not in {"at", "on", "in", "to", "of", "by"} and m["v"][:3] not in {"for", "age", "and"}
        ),
    ),
    Rule(
        "device-code",
        Category.DEVICE,
        rf"\b(?:tx|transmitter|sensor|vent(?:ilator)?|controller|monitor|receiver|reader|concentrator)[ :#]{{1,3}}"
        rf"(?P<v>{_NUMBERED}(?=[\d\-]{{0,8}}[a-z])[a-z\d]{{2,12}}(?:-[a-z\d]{{2,12}}){{0,2}})(?!\w)",
        0.85,
        check=_code,
    ),
    Rule(
        "year-code",
        Category.OTHER_ID,
        r"(?<![\w.\-])[a-z]{1,3}-?(?:(?:19|20)\d\d-\d{2,6}|[012]\d-\d{4,6})(?![\w-])",
        0.8,
    ),
    Rule(
        "code-labelled",
        Category.OTHER_ID,
        r"\b(?:code|interp(?:reter)?|intrp|tag|locker|conf(?:irmation)?|ticket)[ :#]{1,3}"
        r"(?P<v>[a-z]{1,4}-\d{3,8}(?:-\d{1,6})?)(?![\w-])",
        0.85,
        ("-",),
    ),
    Rule("parcel", Category.OTHER_ID, r"\b1z[a-z0-9]{16}\b", 0.95, ("1z",)),
    Rule("alien-number", Category.OTHER_ID, r"\ba ?#? ?:? ?(?P<v>a?[ \-]?\d{3}[ \-]\d{3}[ \-]\d{3})(?![\w-])", 0.93),
    Rule("donation-number", Category.OTHER_ID, r"\b[a-z]\d{4} \d{2} \d{6}(?: \d{2})?(?![\w.])", 0.9),
    Rule(
        "hex-number",
        Category.OTHER_ID,
        r"(?<![\w:])(?=[\d:]{0,10}[a-f])[0-9a-f]{2}(?::[0-9a-f]{2}){3,7}(?![\w:])",
        0.85,
        (":",),
    ),
    Rule(
        "bands",
        Category.OTHER_ID,
        r"\b(?:id |baby |wrist ?)?bands?[ :#]{1,3}(?:no\.? ?)?(?P<v>[a-z]{0,3}\d{3,8}(?:-?[a-z]{1,2})?(?: ?[/,&] ?"
        r"[a-z]{0,3}\d{3,8}(?:-?[a-z]{1,2})?){0,3})(?![\w-])",
        0.9,
        ("band",),
    ),
    Rule(
        "network-name",
        Category.OTHER_ID,
        rf"\b{_NETWORKS}(?: (?:id|handle|name|username|account))?(?: is)?[ :@]{{1,3}}"
        r"(?P<v>(?=[a-z]{0,20}[_\d.][\w])[a-z\d][\w.]{2,30}\w)",
        0.9,
        digits=False,
    ),
    Rule(
        "mrn-in-brackets",
        Category.MRN,
        r"(?<=[a-z] )\((?P<v>[a-z]{0,2}\d{4,6}-\d{3,6})\)",
        0.85,
        ("(",),
    ),
    Rule(
        "photo-said",
        Category.PHOTO,
        r"\b[a-z0-9]{1,20}(?: (?:underscore|dash|hyphen|dot) [a-z0-9]{1,20}){0,4} dot (?:jpe?g|jay ?peg|png|gif|pdf"
        r"|heic)\b",
        0.92,
        (" dot ",),
        digits=False,
    ),
    Rule(
        "url-said",
        Category.URL,
        r"\b(?:portal|website|site|web|url|online|www)(?: is| at| address)?,? (?P<v>(?:[a-z0-9]{1,20} ){1,3}?dot"
        r" (?:(?:[a-z0-9]{1,20} ){1,3}?dot )?(?:com|org|net|edu|gov|health|care|io|example))\b",
        0.92,
        (" dot ",),
        digits=False,
    ),
)
