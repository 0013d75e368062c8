"""Ways to reach a person or a machine: telephone, fax, e-mail, URL, IP and MAC address."""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text.en.labels import IS, digits, value
from osler.deidentify.text.en.numbers import NUMBER_WORD, SAID_NUMBERS, said_digits
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_TLD: Final = (
    "com|org|net|edu|gov|mil|io|info|biz|health|care|clinic|app|site|online|example"
    "|us|uk|ca|au|de|fr|es|it|nl|ie|nz|in|eu|co|ch|se|no|me"
)
_MAIL: Final = r"(?:gmail|yahoo|hotmail|outlook|aol|icloud|protonmail|comcast|verizon|msn|live|gmx)"
_EXT: Final = r"(?:[ ,]{0,2}(?:extension|ext\.?|x)[ .:]{0,2}\d{1,6})?"
_GAP: Final = r"[-./·_ \n]"
_US_PHONE: Final = (
    rf"(?:9[-, ])?(?:\+?1{_GAP}{{0,2}})?(?:\(\d{{3}}\)"
    rf"|\d{{3}}){_GAP}{{0,3}}\d{{3}}[-.·_ \n]{{1,3}}[\dol]{{4}}(?![a-wyz\d_]|x(?!\d)){_EXT}"
)
_PHONE_LABEL: Final = (
    r"(?:phones?|telephone|tel|cell(?:ular)?(?: phone)?|mobile|pager|beeper|contact"
    r"|call(?: back)?|callback|home|office|work|voicemail|"
    r"ph|hotline|reach(?:ed|able)?|text|dial|whatsapp|switchboard|ext(?:ension)?|sms|ice|helpline|wk|hm|wrk|cel"
    r"|emerg(?:ency)?|c/b|[pchwmot](?=[:)]))"
)
_NUMBER: Final = r"\+?\(?\d(?:[-./() ]{0,2}\d){4,15}(?!\d)"
_SAID_OCTET: Final = rf"{NUMBER_WORD}(?:[- ]{NUMBER_WORD}){{0,3}}"
_SAID_SIZES: Final = frozenset({7, 9, 10, 11, 12})
_CLOCK_AND_VALUE: Final = re.compile(r"(?:[01]\d|2[0-3])[0-5]\d \d{2,3}[ /]\d{2,3}(?!\d)")
_START: Final = r"(?<![\w.\-/])"
_END: Final = r"(?![\w]|[-./]\d)"


def _fax_or_phone() -> Iterator[Rule]:
    yield Rule(
        "fax-labelled",
        Category.FAX,
        rf"\b(?:(?:e-?)?fax(?:ed|es)?(?: [a-z]{{2,12}}){{0,3}}? (?:to|at|on)|fax|facsimile"
        rf"|f(?=:)){IS}(?P<v>{_NUMBER}{_EXT})",
        0.97,
        ("fax", "facsimile", "f:"),
        _phone_size,
    )
    yield Rule(
        "fax-spoken",
        Category.FAX,
        rf"\bfax{IS}(?P<v>{SAID_NUMBERS})",
        0.9,
        ("fax",),
        lambda m: said_digits(m["v"]) in _SAID_SIZES,
        digits=False,
    )
    yield Rule(
        "fax-labelled",
        Category.FAX,
        rf"\b(?:e?faxed|efax|fx|f)(?: it)?(?: to| at)?[ :.]{{1,2}}(?P<v>{_US_PHONE})",
        0.97,
        ("fax", "fx", "f ", "f:", "f."),
    )
    yield Rule("fax-role-after", Category.FAX, rf"{_START}{_US_PHONE}(?= ?[-(] ?fax\b)", 0.96, ("fax",))
    yield Rule(
        "phone-labelled",
        Category.PHONE,
        rf"\b{_PHONE_LABEL}\b(?: (?:at|on|us at|me at|him at|her at|them at|phone"
        rf"|line))?{IS}(?P<v>{_NUMBER}{_EXT})",
        0.93,
        (),
        _phone_size,
    )
    yield Rule(
        "phone-extension",
        Category.PHONE,
        r"\b(?:ext(?:ension)?|pager|beeper|pgr)\b\.?(?: at| on)?[ :#.]{0,3}(?P<v>x?\d{1,3}-\d{4}|x?\d{2,7})\b",
        0.9,
        ("ext", "page", "beeper", "pgr"),
    )
    yield Rule(
        "phone-local",
        Category.PHONE,
        r"\b(?:call|phone|cell|ph|tel|txt|text|reach\w{0,4}|contact"
        r"|dial)\b[a-z' ,:#]{0,25} (?P<v>\d{3} \d{4})(?![\w/]|[.-]\d)",
        0.85,
        ("call", "ph", "cell", "te", "tx", "reach", "contact", "dial"),
    )
    yield Rule("phone-commas", Category.PHONE, r"(?<![\w.,])\d{3}, \d{3}, \d{4}(?![\w,.]\d|\d)", 0.85)
    yield Rule("phone-x", Category.PHONE, r"(?<!\d )(?<!\d\. )(?<![\w.])x\d{4,5}(?![\w]|\.\d)", 0.75, ("x",))
    yield Rule("phone-digits", Category.PHONE, r"(?<![\w.\-/])(?<!\d )\d(?:[ \-]\d){9}(?![\w]|[ \-]\d)", 0.85)
    yield Rule(
        "phone-uk",
        Category.PHONE,
        rf"{_START}\(?0(?:\d{{3,4}}\)?[ -]\d{{5,6}}|\d{{3}}\)? \d{{3}} \d{{4}}|\d{{2,4}}/\d{{5,8}}){_END}",
        0.85,
    )
    yield Rule(
        "phone-ocr",
        Category.PHONE,
        rf"{_START}(?=[\d-]{{0,11}}[oli])[\doli]{{3}}-[\doli]{{3}}-[\doli]{{4}}(?!\w)",
        0.85,
        ("-",),
        lambda m: len(digits(m)) >= 7,
    )
    yield Rule("phone-us", Category.PHONE, rf"{_START}{_US_PHONE}", 0.9)
    yield Rule("phone-us", Category.PHONE, rf"{_START}(?:\([2-9]\d\d\) ?|[2-9]\d\d[ .\-])[2-9]\d{{6}}{_END}", 0.8)
    yield Rule("phone-us-solid", Category.PHONE, rf"{_START}(?:1?[2-9]\d\d[2-9]\d{{6}})(?!\d)", 0.7)
    yield Rule("phone-local", Category.PHONE, rf"{_START}[2-9]\d\d-\d{{4}}{_END}", 0.75)
    yield Rule(
        "phone-international",
        Category.PHONE,
        r"(?:\+|\b00)[1-9]\d{0,2}(?:(?:[-./]| {1,2}| - )?\(?\d{1,4}\)?){2,6}(?!\d)",
        0.9,
        ("+", "00"),
        lambda m: 8 <= len(digits(m)) <= 17,
    )
    yield Rule(
        "phone-grouped",
        Category.PHONE,
        rf"{_START}\(?0\d{{1,4}}\)?(?:[-./ ]\d{{2,4}}){{2,4}}{_END}",
        0.75,
        (),
        lambda m: 8 <= len(digits(m)) <= 12 and not _is_date_like(m[0]) and not _CLOCK_AND_VALUE.match(m[0]),
    )
    yield Rule("phone-pairs", Category.PHONE, rf"{_START}\d\d(?:([-. ])\d\d)(?:\1\d\d){{2,4}}{_END}", 0.75)
    yield Rule(
        "phone-role-after",
        Category.PHONE,
        rf"{_START}\d{{2,4}}(?:[- ]\d{{2,4}}){{1,3}}(?=[- ]{{1,3}}(?:office|mobile|cell|home|work"
        rf"|phone|fax)\b)",
        0.85,
        ("office", "mobile", "cell", "home", "work", "phone", "fax"),
        _phone_size,
    )
    yield Rule(
        "phone-spoken",
        Category.PHONE,
        rf"\b(?:area code )?(?P<v>{SAID_NUMBERS})",
        0.85,
        ("one", "two", "three", "five", "six", "eight"),
        lambda m: said_digits(m["v"]) in _SAID_SIZES,
        digits=False,
    )
    yield Rule(
        "phone-letters",
        Category.PHONE,
        r"\b1?[- ]?8(?:00|33|44|55|66|77|88)[-. ](?:[a-z]{7,10}|[a-z]{3,4}[- ][a-z]{3,5}"
        r"|\d{3}-[a-z]{4})\b",
        0.85,
        ("8",),
    )


def _phone_size(match: re.Match[str]) -> bool:
    return len(digits(match)) >= 7 and not _is_date_like(value(match))


def _is_date_like(text: str) -> bool:
    return re.match(r"\(?\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}(?!\d)|\d{4}-\d\d-\d\d", text) is not None


def _is_ipv4(match: re.Match[str]) -> bool:
    return all(int(part) < 256 for part in match[0].split("."))


RULES: Final = (
    Rule(
        "email",
        Category.EMAIL,
        r"(?<![\w.%+\-'])[\w.%+\-']{1,128}\s?@\s?\w[\w.\-]{0,120}(?:\n[ \t]{0,4})?\.[a-z]{2,15}",
        0.99,
        ("@",),
        digits=False,
    ),
    Rule(
        "email-spoken",
        Category.EMAIL,
        r"(?<![\w.+\-])[a-z0-9._+\-]{1,40}(?: (?:dot|period|underscore|dash|hyphen"
        r"|plus) [a-z0-9+]{1,30}){0,4} (?:at|\(at\)"
        r"|\[at\]) [a-z0-9\-]{2,40}(?: (?:dot|period) [a-z]{2,15}){1,3}\b",
        0.95,
        (" dot ", " period "),
        digits=False,
    ),
    Rule(
        "email-said",
        Category.EMAIL,
        r"\be-?mail(?: address)?(?: is| me at|:)? (?P<v>(?:[a-z0-9._+\-]{1,30} ){1,8}?at"
        r" (?:[a-z0-9\-]{1,40} ){1,3}?dot [a-z]{2,15})\b",
        0.96,
        (" dot ",),
        digits=False,
    ),
    Rule(
        "email-hidden",
        Category.EMAIL,
        r"(?<![\w.+\-])[\w.+\-]{1,40}\s?[\[({<]\s?at\s?[\])}>]\s?[\w\-]{1,40}\s?(?:\."
        r"|[\[({<]\s?dot\s?[\])}>])\s?[a-z]{2,10}\b"
        rf"|\b(?:[\w\-]{{1,30}}[._\d][\w.\-]{{0,30}} at [\w\-]{{2,30}}|[\w.\-]{{2,40}} at {_MAIL})\.(?:com|net|org"
        rf"|edu|co\.uk)\b|\b[\w.\-]{{1,40}}_at_[a-z0-9\-]{{2,30}}_dot_[a-z]{{2,6}}",
        0.95,
        ("at]", "_at_", "at)", "at}", "at>", "at "),
        digits=False,
    ),
    Rule("handle", Category.URL, r"(?<![\w@.])@[a-z_][a-z0-9_.]{2,30}\b", 0.8, ("@",), digits=False),
    Rule(
        "url",
        Category.URL,
        r"\b(?:h(?:tt|xx)ps?|ftp|sftp)://(?:[^\s<>\"')\]\[(]|[\[(]\.[\])]|[(]){2,300}(?<![.,;:])",
        0.99,
        ("://",),
        digits=False,
    ),
    Rule(
        "url-www",
        Category.URL,
        r"\bwww\d?\.[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,4}(?:/[^\s<>\"')\],;]{0,200})?",
        0.995,
        ("www",),
        digits=False,
    ),
    Rule(
        "url-bare",
        Category.URL,
        rf"(?<![\w@.\-])[a-z0-9][a-z0-9\-]{{1,62}}(?:\.[a-z0-9\-]{{1,63}}){{0,3}}\.(?:{_TLD})"
        rf"(?:/[^\s<>\"')\],;]{{1,200}}|(?![\w@]|\.\w))",
        0.85,
        (".",),
        lambda m: re.search(r"[a-z]{2}", m[0].split(".")[0]) is not None,
        digits=False,
    ),
    Rule(
        "ipv4",
        Category.IP,
        r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2}|:\d{1,5})?(?![\w]|\.\d)",
        0.95,
        (".",),
        lambda m: _is_ipv4(re.match(r"[\d.]+", m[0]) or m),
    ),
    Rule(
        "ipv6",
        Category.IP,
        r"(?<![\w:.])(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}(?![\w:])"
        r"|(?<![\w:.])(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}(?![\w:])",
        0.95,
        (":",),
    ),
    Rule(
        "ipv4-hidden",
        Category.IP,
        r"(?<![\w.])\d{1,3}(?:(?: ?[\[(](?:\.|dot)[\])] ?| dot )\d{1,3}){3}(?!\w)",
        0.95,
        (".]", ".)", "dot"),
    ),
    Rule(
        "ipv4-spoken",
        Category.IP,
        rf"\b{_SAID_OCTET}(?: (?:dot|point) {_SAID_OCTET}){{3}}\b",
        0.95,
        (" dot ", " point "),
        digits=False,
    ),
    Rule(
        "mac-address",
        Category.IP,
        r"\b[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}\b|\b[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}\b",
        0.95,
        (":", "-", "."),
    ),
    *_fax_or_phone(),
)
