"""Ways to reach a person or a machine: telephone, fax, e-mail, URL, IP and MAC address."""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text.en.labels import IS, SAID, digits, value
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

_TLD: Final = (
    "com|org|net|edu|gov|mil|io|info|biz|health|care|clinic|us|uk|ca|au|de|fr|es|it|nl|ie|nz|in|eu|co|ch|se|no|me"
)
_EXT: Final = r"(?:[ ,]{0,2}(?:extension|ext\.?|x)[ .:]{0,2}\d{1,6})?"
_US_PHONE: Final = rf"(?:\+?1[-. ]{{0,2}})?(?:\(\d{{3}}\)|\d{{3}})[-./ ]{{0,3}}\d{{3}}[-. ]{{1,3}}\d{{4}}(?!\d){_EXT}"
_PHONE_LABEL: Final = (
    r"(?:phones?|telephone|tel|cell(?:ular)?(?: phone)?|mobile|pager|beeper|contact"
    r"|call(?: back)?|callback|home|office|work|voicemail|"
    r"ph|hotline|reach(?:ed|able)?|text|dial|whatsapp|switchboard|ext(?:ension)?|p|c|h|w|m|o)"
)
_NUMBER: Final = r"\+?\(?\d(?:[-./() ]{0,2}\d){4,15}(?!\d)"
_START: Final = r"(?<![\w.\-/])"
_END: Final = r"(?![\w]|[-./]\d)"


def _fax_or_phone() -> Iterator[Rule]:
    yield Rule(
        "fax-labelled",
        Category.FAX,
        rf"\b(?:fax|facsimile|f){IS}(?P<v>{_NUMBER}{_EXT})",
        0.97,
        ("fax", "facsimile"),
        _phone_size,
    )
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
        r"\b(?:ext(?:ension)?|pager|beeper|pgr)\b\.?(?: at| on)?[ :#.]{0,3}(?P<v>x?\d{3,7})\b",
        0.9,
        ("ext", "page", "beeper", "pgr"),
    )
    yield Rule("phone-us", Category.PHONE, rf"{_START}{_US_PHONE}", 0.9)
    yield Rule("phone-us-solid", Category.PHONE, rf"{_START}(?:1?[2-9]\d\d[2-9]\d{{6}})(?!\d)", 0.7)
    yield Rule("phone-local", Category.PHONE, rf"{_START}[2-9]\d\d-\d{{4}}{_END}", 0.75)
    yield Rule(
        "phone-international",
        Category.PHONE,
        r"(?:\+|\b00)[1-9]\d{0,2}(?:[-./ ]{0,2}\(?\d{1,4}\)?){2,6}(?!\d)",
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
        lambda m: 8 <= len(digits(m)) <= 12 and not _is_date_like(m[0]),
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
        rf"\b(?:area code )?{SAID}\b",
        0.85,
        ("one", "two", "three", "five", "six", "eight"),
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
        r"[a-z0-9._%+\-']{1,64}@[ ]?[a-z0-9](?:[a-z0-9.\-]{0,120})\.[a-z]{2,15}",
        0.99,
        ("@",),
        digits=False,
    ),
    Rule(
        "email-spoken",
        Category.EMAIL,
        r"\b[a-z0-9._\-]{1,30}(?: (?:dot|underscore|dash) [a-z0-9]{1,30}){0,3} (?:at|\(at\)"
        r"|\[at\]) [a-z0-9\-]{2,40}(?: dot [a-z]{2,15}){1,3}\b",
        0.95,
        (" dot ",),
        digits=False,
    ),
    Rule(
        "email-hidden",
        Category.EMAIL,
        r"\b[a-z0-9._\-]{1,40} ?[\[(]at[\])] ?[a-z0-9\-]{1,40} ?(?:\."
        r"|[\[(]dot[\])]) ?[a-z]{2,10}\b",
        0.95,
        ("[at]", "(at)"),
        digits=False,
    ),
    Rule("handle", Category.URL, r"(?<![\w@.])@[a-z_][a-z0-9_.]{2,30}\b", 0.8, ("@",), digits=False),
    Rule(
        "url",
        Category.URL,
        r"\b(?:https?|ftp|sftp)://[^\s<>\"')\]]{2,300}[^\s<>\"')\].,;:]",
        0.99,
        ("://",),
        digits=False,
    ),
    Rule(
        "url-www",
        Category.URL,
        r"\bwww\d?\.[a-z0-9\-]{1,63}(?:\.[a-z0-9\-]{1,63}){1,4}(?:/[^\s<>\"')\],;]{0,200})?",
        0.98,
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
        r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?(?![\w]|\.\d)",
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
    Rule("mac-address", Category.IP, r"\b[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}\b", 0.95, (":", "-")),
    *_fax_or_phone(),
)
