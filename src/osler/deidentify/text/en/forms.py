"""More forms of ages, numbers and serials: said aloud, misread by a scanner, or told by the noun before them."""

import re
from typing import Final

from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.numbers import DIGIT, OVER_89
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_OLD: Final = r"(?P<v>9\d|1[01]\d)"
_LETTER_AS: Final = r"[a-z] (?:as in|for|like) [a-z]{3,10}"
_SPELT: Final = rf"{_LETTER_AS}(?:[, ]{{1,3}}(?:{_LETTER_AS}|{DIGIT}|\d{{1,4}}|[a-z])(?!\w)){{3,20}}"
_NUMBERED: Final = r"(?=[a-z\-]{0,12}\d)"
_NETWORKS: Final = (
    r"(?:fb|wechat|instagram|insta|ig|snapchat|facebook|twitter|tiktok|telegram|skype|venmo|discord|paypal)"
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
    Rule(
        "age-after-name",
        Category.AGE,
        rf"\b(?P<one>[A-Z][a-z'\-]{{1,24}}) (?P<two>[A-Z][\w'\-]{{1,24}}), {_OLD}(?=, )",
        0.85,
        check=lambda m: not (is_vocabulary(m["one"].lower()) and is_vocabulary(m["two"].lower())),
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
        "device-code",
        Category.DEVICE,
        rf"\b(?:tx|transmitter|sensor|machine|scope|endoscope|probe|analy[sz]er|scanner|workstation|cart|tank"
        rf"|vent(?:ilator)?|controller|monitor|receiver|reader|concentrator)[ :#]{{1,3}}"
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
        r"\b(?:code|pedigree|kindred|family|interp(?:reter)?|intrp|tag|locker|conf(?:irmation)?|ticket)[ :#]{1,3}"
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
    Rule(
        "mrn",
        Category.MRN,
        r"\b(?:mr|chart|ihs|hrn|med rec|record|folder)(?: (?:chart|no|number"
        r"|record))?[ #:]{1,3}(?P<v>\d{2,3}(?:-\d{2,3}){2,3}(?:-\d)?)(?![\w/-])",
        0.9,
    ),
    Rule(
        "mrn",
        Category.MRN,
        r"\b(?:legacy|paper|old|outside) (?:chart"
        r"|record)[ #:]{1,3}(?P<v>\d[\d\-]{3,12})(?![\w/-])",
        0.9,
    ),
    Rule("health-plan", Category.HEALTH_PLAN, r"\bcin[ :#]{1,3}(?P<v>[a-z]{2}\d{5}[a-z])(?!\w)", 0.996, ("cin",)),
    Rule(
        "health-plan",
        Category.HEALTH_PLAN,
        r"\b(?:id|insurance|policy|member|plan|subscriber|card|molina|aetna|cigna|humana|anthem|medicaid|medicare"
        r"|bcbs|uhc|kaiser|wellcare|caresource|tricare|centene"
        r"|ambetter)[ :#]{1,4}(?P<v>(?!no |id |num |is |and |for )[a-z]{1,4} ?\d{1,6}(?: \d{2,5}){1,4}(?: [a-z](?!\w))?"
        r"|\d{3}-\d{2}-\d{4}-\d{2})(?![\w/%])",
        0.997,
        check=lambda m: sum(map(str.isdigit, m["v"])) >= 8,
    ),
    Rule(
        "device-serial",
        Category.DEVICE,
        r"\b(?:ser(?:ial)?\.?|s\.n\.|hearing aids?|aids?|dexcom|libre|omnipod|cochlear|valve|lens|iol|stent|graft"
        r"|implant)[ :#]{1,3}"
        r"(?:no\.? )?(?P<v>(?=[a-z\d\-]{0,12}\d[a-z\d\-]{0,6}\d)[a-z\d][a-z\d\-]{5,20}(?: ?[/&] ?"
        r"(?=[a-z]{0,6}\d)[a-z\d\-]{6,20})?)(?!\w)",
        0.88,
        check=lambda m: sum(map(str.isdigit, m["v"])) >= 4,
    ),
    Rule(
        "code-mixed",
        Category.OTHER_ID,
        r"(?<![\w.\-/:*>])(?=(?:[a-z]{0,6}\d){5})(?=\d{0,9}[a-z]{1,6}\d)[a-z\d]{8,24}(?![\w])",
        0.78,
        check=lambda m: (
            not re.match(r"(?:\d{1,4}(?:x|to|over)\d+)|(?:19|20)\d{6}t|nct|rs\d|hla|chr|icd|cpt|g\d{4}", m[0])
            and not re.search(r"(?:mg|ml|mm|cm|kg|mcg)$", m[0])
        ),
    ),
    Rule("grouped-number", Category.OTHER_ID, r"(?<![\w.\-/])\d{6,10}-\d{2}(?![\w]|[-/.]\d)", 0.75, ("-",)),
    Rule(
        "code-of-door",
        Category.OTHER_ID,
        r"\bcode[ :#]{1,3}(?P<v>\d{3,8}) (?:for|to|at|on) (?:the )?(?:door|gate|garage|building|front|lobby|side)\b",
        0.85,
        ("code",),
    ),
    Rule(
        "account",
        Category.ACCOUNT,
        r"\b(?:cc|card|visa|mastercard|amex|discover|acct|checking|savings|debit|credit)(?: card"
        r"| account)? (?:ending|ends|last ?(?:4|four))"
        r"(?: in| with| is|:)? ?(?P<v>\d{4})(?!\d)",
        0.996,
        ("ending", "ends", "last"),
    ),
    Rule(
        "device-lot",
        Category.DEVICE,
        r"\blot[ :#]{1,3}(?P<v>(?=[a-z]{0,8}\d)(?=\d{0,8}[a-z])[a-z\d]{4,12})(?![\w%/]|\.\d)",
        0.86,
        ("lot",),
        lambda m: sum(map(str.isdigit, m["v"])) >= 2,
    ),
    Rule(
        "cell",
        Category.LOCATION,
        r"\b(?:cell|pod|housing|tier|bunk|locker|block) (?P<v>[a-z]{1,2}-?\d{1,3}(?:-\d{1,4})?"
        r"|\d{1,2}-?[a-z]-?\d{1,4})(?![\w%/])",
        0.76,
        ("cell", "pod", "housing", "tier", "bunk", "locker", "block"),
        lambda m: len(m["v"]) > 3,
    ),
    Rule(
        "device-serial",
        Category.DEVICE,
        r"\b(?:lead|generator|pacer|pacemaker|icd|battery|loop recorder|stimulator|pump"
        r"|port)[ :#]{1,3}(?P<v>[a-z]{2,4} \d{5,8}[a-z]?)(?![\w%/])",
        0.88,
    ),
    Rule("specimen-colon", Category.OTHER_ID, r"(?<![\w.:])[a-z]{1,3}\d{2}:\d{3,7}(?![\w:])", 0.92, (":",)),
    Rule(
        "claim-number",
        Category.OTHER_ID,
        r"\b(?:claim|file|case"
        r"|c-?file)[ :#]{1,3}(?:no\.? )?(?P<v>[a-z]{1,3}[- ]?\d{2,3}(?:[ \-]\d{2,4}){1,3})(?![\w/])",
        0.996,
        ("claim", "file", "case"),
    ),
    Rule(
        "code-of-door",
        Category.OTHER_ID,
        r"\b(?:gate|door|access|pin|lock ?box|security|alarm|entry|buzzer|garage)(?: code| pin| no"
        r"| #)?(?: is)?[ :#]{1,3}(?P<v>[#*]?\d{3,8}[#*]?)(?![\w%/]|\.\d)",
        0.85,
        ("code", "pin", "box", "buzzer", "gate", "door"),
        lambda m: "code" in m[0] or "pin" in m[0] or "box" in m[0] or "buzzer" in m[0],
    ),
    Rule(
        "paper-number",
        Category.OTHER_ID,
        r"\b(?:receipt|tow|ticket|citation|visitor pass|parking pass|permit|voucher|coupon|evidence(?: tag)?"
        r"|property(?: tag)?|bag|seal|run|cad|event|dispatch|log|booking|census)"
        r"(?: (?:no\.?|number|id|tag|receipt"
        r"|slip))?[ :#]{1,3}(?P<v>(?=[a-z\-]{0,4}\d)[a-z\d][a-z\d\-]{3,14})(?![\w%/]|\.\d)",
        0.82,
        check=lambda m: sum(map(str.isdigit, m["v"])) >= 4,
    ),
)
