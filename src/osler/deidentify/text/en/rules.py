"""Numbers: what a label, a form or a check digit gives away."""

import re
from typing import Final

from osler.deidentify.text.en.labels import IS, SAID, digits
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.numbers import DIGIT
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the Luhn check digit (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_npi(match: re.Match[str]) -> bool:
    return luhn("80840" + match[0])


def _is_card(match: re.Match[str]) -> bool:
    return 12 <= len(digits(match)) <= 19


_VIN_VALUE: Final = {
    **{str(d): d for d in range(10)},
    **dict(zip("abcdefgh", range(1, 9), strict=True)),
    **dict(zip("jklmn", range(1, 6), strict=True)),
    "p": 7,
    "r": 9,
    **dict(zip("stuvwxyz", range(2, 10), strict=True)),
}
_VIN_WEIGHT: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def is_vin(vin: str) -> bool:
    """Tell whether position 9 of 17 lower-case characters is the check digit (49 CFR 565.15(c))."""
    rest = sum(_VIN_VALUE[c] * w for c, w in zip(vin, _VIN_WEIGHT, strict=True)) % 11
    return vin[8] == ("x" if rest == 10 else str(rest))


def is_dea(number: str) -> bool:
    """Tell whether the last digit of two letters and seven digits is the DEA check digit."""
    d = [int(c) for c in number[2:]]
    return (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6]


def _is_ssn(match: re.Match[str]) -> bool:
    area = match[0][:3]
    return "-" in match[0] or (area not in {"000", "666"} and area[0] != "9")


_CODED: Final = re.compile(r"(?:snomed(?: ct)?|loinc|cpt|rxnorm|rxcui|icd|ndc|pmid|hcpcs|cvx|omim|nct)[ :#]{1,3}$")


def _is_long_number(match: re.Match[str]) -> bool:
    if _CODED.search(match.string, max(0, match.start("v") - 14), match.start("v")):
        return False
    return not match["v"].endswith("0000") and not _UNIT.match(match.string, match.end())


_UNIT: Final = re.compile(r"\s?(?:%|(?:m|mc|µ|n|k)?g\b|ml\b|units?\b|iu\b|u\b|cfu|copies|cells?|/|million|x ?10)")


def _is_code(match: re.Match[str]) -> bool:
    return _NO_CODE.match(match[0]) is None and not _UNIT.match(match.string, match.end())


_NO_CODE: Final = re.compile(
    r"nct|covid|sars|icd|cpt|loinc|hcpcs|snomed|isrctn|pmid|doi|iso|rfc|hla|chr|exon|ndc|rs\d"
    r"|il-|cd\d|gp\d|vitamin|h[1-9]n"
)

RULES: Final = (
    Rule(
        "ssn-labelled",
        Category.SSN,
        rf"\b(?:ssn|ss(?= ?[#:])|soc(?= ?#| ?no\b| ?num)|s\.s\.n\.?|s s n|ss no|soc(?:ial)?\.? ?sec(?:urity)?"
        rf"|social|itin"
        rf"|tin)(?![a-z]){IS}(?P<v>(?=[\w*]{{1,3}}[-. \n]{{0,3}}[\w*]{{1,3}}[-. \n]{{0,3}}[\w*]{{0,2}}\d)"
        rf"[\dolb][\dx*olb]{{2}}[-. \n]{{0,3}}"
        r"[\dx*olb]{2}[-. \n]{0,3}[\dolb]{4}|\d(?: \d){8}"
        r"|(?:(?:[x*]{3}[-. ]?[x*]{2}[-. ]?)?)(?<!\d)\d{4}(?!\d|[./]\d|[a-z](?![a-z]{2})))(?!\d)",
        0.99,
        ("ss", "s.s", "s s", "soc", "tin"),
    ),
    Rule("ssn", Category.SSN, r"(?<![\w.\-])\d{3}([- .–]| - )\d{2}\1\d{4}(?![\w]|-\d)", 0.95, (), _is_ssn),
    Rule(
        "ssn-last-four",
        Category.SSN,
        r"\b(?:last ?(?:4|four)|l4)(?: digits?| numbers?)?(?: of| on)?(?: (?:her|his|their|the|my|child|spouse|wife"
        r"|husband|mother|father|patient|son|daughter|insured|subscriber|pt'?s?))?"
        r"(?: (?:ssn?|social(?: security)?)#?)?(?: is| are| were| number| no"
        r"| as)?[ :#=\-]{1,3}(?P<v>[a-z]?\d{4})(?![\w/]|[.:]\d)",
        0.93,
        ("last", "l4"),
    ),
    Rule("ssn", Category.SSN, r"(?<![\d.\-])\d{3}-\d{2}-\d{4}(?![\d]|-\d)", 0.95, ("-",)),
    Rule("ssn-labelled", Category.SSN, r"ssn(?:[:#= ]{0,3})(?P<v>\d{3}[- ]?\d{2}[- ]?\d{4})(?!\d)", 0.99, ("ssn",)),
    Rule(
        "ssn-labelled",
        Category.SSN,
        r"\b(?:ssn|social(?: security)?(?: (?:no|number))?|ss#)(?: is| on file|:"
        r"|#)?[: ]{1,3}(?P<v>\d{3} ?[/.] ?\d{2} ?[/.] ?\d{4})(?!\d)",
        0.99,
        ("ss", "social"),
    ),
    Rule("ssn-masked", Category.SSN, r"(?<![\w*])[x*]{3}[-. ]?[x*]{2}[-. ]?\d{4}(?![\w]|-\d)", 0.996, ("x", "*")),
    Rule(
        "ssn-near",
        Category.SSN,
        r"\b(?:ssn|social security|soc sec)\b[^\n]{0,80}?(?<![\w.\-])(?P<v>\d{3,5}[ \-]\d{4,6}"
        r"|\d{3}[ \-]\d{6})(?![\w\-/]|\.\d)",
        0.93,
        ("ssn", "soc"),
        lambda m: len(digits(m)) == 9,
    ),
    Rule(
        "ssn-last-four",
        Category.SSN,
        rf"\b(?:social(?: security)?(?: number)?|ssn|soc)(?: number)?,? (?:[a-z']{{1,8}} ){{0,3}}?(?:end(?:s|ing)?"
        rf"|last four|last 4)"
        rf"(?: digits)?(?: of| in| with| are| is|,|:){{0,2}} (?P<v>{DIGIT}(?:[-, ]{{1,3}}{DIGIT}){{3}})\b",
        0.97,
        ("soc", "ssn"),
        digits=False,
    ),
    Rule(
        "ssn-spoken",
        Category.SSN,
        rf"\b(?:social security|social|ssn)\b[a-z ]{{0,20}}?[:,]? ?(?P<v>{SAID})\b",
        0.96,
        ("soc", "ssn"),
        digits=False,
    ),
    Rule(
        "mbi",
        Category.HEALTH_PLAN,
        r"\b[1-9][ac-hj-km-np-rt-y][ac-hj-km-np-rt-y0-9]\d[- ]?[ac-hj-km-np-rt-y][ac-hj-km-np-rt-y0-9]\d[- ]?"
        r"[ac-hj-km-np-rt-y]{2}\d{2}\b",
        0.95,
    ),
    Rule(
        "card-number",
        Category.ACCOUNT,
        r"(?<![\w.\-])(?:\d{4}[- ]){3}\d{1,7}(?![\w]|-\d)"
        r"|(?<![\w.\-])3\d{3}[- ]\d{6}[- ]\d{5}(?!\w)",
        0.95,
        (),
        _is_card,
    ),
    Rule(
        "iban",
        Category.ACCOUNT,
        r"\b[a-z]{2}\d{2}(?: ?[a-z0-9]{4}){3,7}(?: ?[a-z0-9]{1,3})?\b",
        0.9,
        (),
        lambda m: len(digits(m)) >= 10,
    ),
    Rule(
        "wallet",
        Category.ACCOUNT,
        r"\b(?:bc1[a-z0-9]{25,60}|[13][a-km-zA-HJ-NP-Z1-9]{26,34}|0x[0-9a-f]{40})\b",
        0.8,
        (),
        lambda m: len(digits(m)) >= 3,
    ),
    Rule("dea", Category.LICENSE, r"\b[abcdefghjklmprstux][a-z9]\d{7}\b", 0.95, (), lambda m: is_dea(m[0])),
    Rule(
        "driver-license",
        Category.LICENSE,
        r"(?<![\w/])(?:dl|odl|cdl)[ :#]{0,3}(?P<v>[a-z]{1,2}\d[\d\-]{4,18}\d)(?![\w])",
        0.97,
        ("dl",),
    ),
    Rule("npi", Category.LICENSE, r"(?<![\w.\-])[12]\d{9}(?![\w]|-\d)", 0.8, (), _is_npi),
    Rule(
        "vin-unchecked",
        Category.VEHICLE,
        r"\b(?=[a-z\d]{0,16}\d)[a-hj-npr-z0-9]{11}[a-hj-npr-z0-9]{2}\d{4}\b",
        0.9,
        (),
        lambda m: sum(map(str.isalpha, m[0])) >= 3 and len(digits(m)) >= 6,
    ),
    Rule("vin", Category.VEHICLE, r"\b[a-hj-npr-z0-9]{17}\b", 0.95, (), lambda m: is_vin(m[0])),
    Rule(
        "plate-uk",
        Category.VEHICLE,
        r"\breg(?:istration)?(?: (?:no|number|plate))?[ :.#]{1,3}(?:is )?(?P<v>[a-z]{2}\d\d ?[a-z]{3})\b",
        0.96,
        ("reg",),
    ),
    Rule("udi", Category.DEVICE, r"\(01\)\d{14}(?:\(\d{2}\)[a-z0-9\-]{1,20}){0,5}", 0.99, ("(01)",)),
    Rule(
        "photo-file",
        Category.PHOTO,
        r"(?<![\w/\-])[\w\-]{1,60}\.(?:jpe?g|png|tiff?|bmp|gif|heic|dcm|mp4|mov|wav|mp3)\b",
        0.9,
        (".jp", ".png", ".tif", ".bmp", ".gif", ".heic", ".dcm", ".mp", ".mov", ".wav"),
        digits=False,
    ),
    Rule(
        "hash-number",
        Category.OTHER_ID,
        r"#[ ]?(?P<v>(?=[a-z\-]{0,8}\d)[a-z0-9][a-z0-9\-]{3,24})\b",
        0.8,
        ("#",),
        lambda m: len(digits(m)) >= 4,
    ),
    Rule("lab-number", Category.OTHER_ID, r"(?<![\w:])\d{2}:[a-z]{1,3}\d{4,9}[a-z]?(?!\w)", 0.9, (":",)),
    Rule(
        "vehicle-number",
        Category.VEHICLE,
        r"\b(?:school bus|bus|cab|taxi|train|flight|truck|trailer) ?(?:#|no\.?|number) ?(?P<v>[a-z]{0,2}\d{2,6})(?!\w)",
        0.85,
        ("bus", "cab", "taxi", "train", "flight", "truck", "trailer"),
    ),
    Rule(
        "pharmacy-plan",
        Category.HEALTH_PLAN,
        r"\b(?:pcn[ :#]{1,3}(?P<v>(?!is\b)[a-z\d]{2,12})|bin[ :#]{1,3}\d{6})(?!\w)",
        0.85,
        ("pcn", "bin"),
        lambda m: m["v"] is None or any(map(str.isdigit, m["v"])) or not is_vocabulary(m["v"]),
        digits=False,
    ),
    Rule(
        "json-id",
        Category.OTHER_ID,
        r"\"[a-z_]{0,30}(?:id|identifier|number|accession"
        r"|reference)\"\s{0,3}:\s{0,3}\"?(?P<v>(?=[^\"\n]{0,30}\d)[\w\-./ ]{2,60})",
        0.72,
        ('": ', '":', '" :'),
    ),
    Rule(
        "code",
        Category.OTHER_ID,
        r"(?<![\w.\-/])(?:\d{2,4}-[A-Z]{1,4}-\d{3,8}|[A-Z]{2,4}-\d{4,8}-[A-Z0-9]{1,4}"
        r"|[A-Z]{1,3}\d{1,3}-[A-Z]{1,3}-\d{2,8})(?![\w]|-\d)",
        0.78,
        (),
        _is_code,
        cased=True,
    ),
    Rule("uuid", Category.OTHER_ID, r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", 0.95, ("-",)),
    Rule("dicom-uid", Category.OTHER_ID, r"(?<![\w.])[0-2](?:\.\d{1,39}){5,20}(?![\w])", 0.9, (".",)),
    Rule(
        "surgical-number",
        Category.OTHER_ID,
        r"\b(?:s|sp|sc|c|cy|nc|f|a|b|bm|h|n)\d{2}-\d{3,7}\b|\b(?:s|sp|cy)-\d{2}-\d{3,7}\b",
        0.85,
        ("-",),
    ),
    Rule(
        "code",
        Category.OTHER_ID,
        r"(?<![\w.\-])(?:[a-z]{1,8}[-_]?){1,2}\d{5,14}(?:[-_][a-z0-9]{1,6})?(?![\w]|-\d)",
        0.8,
        (),
        _is_code,
    ),
    Rule(
        "code",
        Category.OTHER_ID,
        r"(?<![\w.\-])(?=(?:[a-z\-]{0,4}\d){5})[a-z]{1,5}-?\d{1,4}[a-z]{1,3}-?\d{3,10}[a-z]?(?![\w]|-\d)",
        0.75,
        (),
        _is_code,
    ),
    Rule(
        "code-reversed",
        Category.OTHER_ID,
        r"(?<![\w.\-])\d{5,12}[-_]?[a-z]{1,4}(?![\w])",
        0.75,
        (),
        lambda m: _is_code(m) and not re.search(r"\d(?:mg|mcg|ml|iu|u|g|k|x|yo|units?)$", m[0]),
    ),
    Rule(
        "grouped-number",
        Category.OTHER_ID,
        r"(?<![\w.\-/])(?:\d{2,6}-){1,3}\d{3,8}(?![\w]|[-/]\d)",
        0.7,
        ("-",),
        lambda m: (
            len(digits(m)) >= 7
            and not re.fullmatch(r"(?:(?:19|20)\d\d-?){2}|(?:[01]\d|2[0-4])[0-5]\d-(?:[01]\d|2[0-4])[0-5]\d", m[0])
        ),
    ),
    Rule(
        "mrn-of-name",
        Category.MRN,
        r"\bname\b:?[ ][^\n:]{3,50}?\b(?:id|no) ?[#:.]{1,2} ?(?P<v>[a-z]{0,3}\d{5,12})\b",
        0.997,
        ("name",),
    ),
    Rule(
        "number-in-brackets",
        Category.MRN,
        r"[a-z][\w'\-]{1,30} ?\((?P<v>[a-z]{0,2}\d{5,10})\)",
        0.75,
        ("(",),
        _is_long_number,
    ),
    Rule("long-number", Category.OTHER_ID, r"(?<![\w.,\-])(?P<v>\d{7,24})(?![\w]|[-,.]\d)", 0.7, (), _is_long_number),
)
