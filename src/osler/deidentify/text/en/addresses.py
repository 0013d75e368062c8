"""Addresses that no capital or state tells: abroad by their postal code, in lower case and said by their street."""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text.en.numbers import NUMBER_WORD
from osler.deidentify.text.en.places import STATE
from osler.deidentify.text.engine import Document
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category, Span

_POSTCODE: Final = re.compile(
    r"\b(?:GIR 0AA|[A-PR-UWYZ][A-HK-Y]?\d[\dA-HJKSTUW]?(?: |(?=\d[A-Z]{2}\b)(?<=[A-Z\d]{4}))\d[ABD-HJLNP-UW-Z]{2}"
    r"|(?!T\dN\dM|A[123]L[1-4]B[1-3]\b)[ABCEGHJ-NPRSTVXY]\d[A-Z][ -]?\d[A-Z]\d"
    r"|[AC-FHKNPRTV-Y]\d[\dW] (?=\d{0,3}[A-Z])[0-9AC-FHKNPRTV-Y]{4}"
    r"|(?:NSW|VIC|QLD|TAS|ACT|SA|WA|NT),? \d{4})\b"
)
"""United Kingdom, Canada, Ireland, Australia."""
_LEADS_TO: Final = re.compile(
    r"(?:(?:(?:Flat|Unit|Apt|Apartment|Suite|House)\.? \d{1,4}[A-Za-z]?"
    r"|[A-Z\u00c0-\u00de][\w'&\-]{0,30}\.?|\d{1,5}[A-Za-z]?(?:[/-]\d{1,5})?(?=,?\s{1,2}[A-Z])|of|the|de|upon|on"
    r"|le)(?:,?[ \t]{1,2}|,?\r?\n[ \t]{0,4})){1,10}$"
)
_NO_ADDRESS: Final = re.compile(
    r"(?:Address|Addr|Lives|Live|Living|Resides|At|From|In|The|He|She|Pt|Patient|Home|Postcode|postcode|Post code"
    r"|Post Code|Ontario|Quebec|ON|QC|BC|AB|MB|SK|NS|NB"
    r"|NL|PE|PEI|Alberta|Manitoba|Phone|Tel|DOB|NHS)\b,?\s*"
)
_REACH: Final = 110

_TYPE: Final = (
    r"(?:street|avenue|ave|road|rd|lane|ln|boulevard|blvd|parkway|pkwy|highway|hwy|crescent|terrace"
    r"|st(?!\.?[ -]?(?:elev|depr|seg|chang|abn|-?t\b|mary|john|jude|luke|joseph|wave)))"
)
_LOOSE_TYPE: Final = r"(?:drive|dr|court|ct|circle|place|pl|way|square|trail|close|grove|row|loop|path)"
_PART: Final = r"[a-z0-9][a-z0-9'.\-]{1,20}"
_LIVES: Final = (
    r"(?:liv(?:es?|ed|ing)|resid(?:es?|ed|ing)|stay(?:s|ed|ing)|home|house|apartment|address|addr|located|moved|mail)"
    r"(?: is| address)?(?: (?:at|on|to|near|off|in|is))?[ :]{1,3}(?:the )?"
)
_UNIT: Final = r"(?:,?\s(?:apt|apartment|suite|ste|unit|room|fl|floor|#)\.?\s?#?\s?[\w\-]{1,5}\b)?"
_STATES: Final = STATE.lower()
_NO_STREET: Final = re.compile(
    r"\b(?:m[glm]|cm|mcg|kg|way|times?|days?|of|x|years?|hours?|weeks?|months?|pts?|patients?|per|and|mm|lead|beat"
    r"|beats|long|units?|liters?|l|is|was|has|with|for|no|the|seconds?|minutes?|other|more|test|respiratory|flash"
    r"|hard|disk|sex|this|that|your|their|busy|main(?= road)|same|dirt|gravel|open|long|country|tabs?|in|to|at|on)\b"
)


def _is_street(match: re.Match[str]) -> bool:
    return not _NO_STREET.search(match["mid"])


def _lower(name: str, pattern: str, score: float, needs: tuple[str, ...], *, digits: bool = True) -> Rule:
    check = _is_street if "?P<mid>" in pattern else None
    return Rule(name, Category.LOCATION, pattern, score, needs, check, digits=digits)


_STREET_WORDS: Final = (
    "drive",
    "turn",
    "st",
    "ave",
    "rd",
    "road",
    "lane",
    "ln",
    "bou",
    "blvd",
    "park",
    "pkwy",
    "h",
    "cresc",
    "terr",
)
RULES: Final = (
    _lower(
        "street",
        rf"(?<![\w./])\d{{1,6}}[a-z]? (?:(?:[nsew]|ne|nw|se|sw|north|south|east"
        rf"|west)\.? )?(?P<mid>{_PART}(?: {_PART}){{0,2}}?)"
        rf"\s{_TYPE}\b(?:\.(?=,| [a-z#]))?(?: (?:[nsew]|ne|nw|se|sw)\b)?{_UNIT}",
        0.9,
        _STREET_WORDS,
    ),
    _lower(
        "street",
        rf"\b{_LIVES}(?P<v>\d{{1,6}}[a-z]? (?P<mid>{_PART}(?: {_PART}){{0,2}}?)\s{_LOOSE_TYPE}\b{_UNIT})",
        0.9,
        (),
    ),
    _lower(
        "street-named",
        rf"\b(?:liv(?:es?|ed|ing)|resid(?:es?|ed|ing)|house|home|stays?|accident|crash|fell|found) (?:on|at|near"
        rf"|off) (?P<v>(?P<mid>[a-z][a-z'.\-]{{2,20}}"
        rf"(?: [a-z'.\-]{{2,20}})?)\s{_TYPE})\b",
        0.85,
        _STREET_WORDS,
        digits=False,
    ),
    _lower(
        "street-named",
        r"\bon (?P<v>(?P<mid>[a-z]{4,15}(?: [a-z]{4,12})?) (?:street|avenue|ave|road|rd|blvd|boulevard|drive|lane"
        r"|parkway|pkwy|highway|turnpike))(?!\w)",
        0.8,
        _STREET_WORDS,
        digits=False,
    ),
    _lower(
        "street-spoken",
        rf"\b{NUMBER_WORD}(?:[- ]{NUMBER_WORD}){{0,4}} (?P<mid>[a-z]{{3,15}}(?: [a-z]{{3,15}})?)"
        rf" (?:street|avenue|road|lane|boulevard|drive|court)\b",
        0.85,
        ("street", "avenue", "road", "lane", "boulevard", "drive", "court"),
        digits=False,
    ),
    _lower(
        "corner",
        r"\b(?:corner|intersection|junction) of (?P<v>[a-z0-9'.]{2,20}(?: [a-z'.]{2,20})?(?: and | & )[a-z0-9'.]{2,20}"
        r"(?: (?:street|st|avenue|ave|road|rd|blvd|boulevard|drive|lane|highway))?)\b",
        0.85,
        ("corner", "intersection", "junction"),
        digits=False,
    ),
    _lower(
        "town",
        rf"(?:,\s|\bof |\bin |\bfrom )(?P<v>[a-z][a-z'.\-]{{2,15}}(?:"
        rf" [a-z'.\-]{{2,15}}){{0,2}}),\s(?={_STATES},?\s\d{{5}}(?!\d))",
        0.9,
        (),
    ),
    _lower("zip", rf",\s{_STATES}\.?,?\s{{1,2}}(?P<v>\d{{5}}(?:-\d{{4}})?)(?![\w-])", 0.95, ()),
    _lower("zip", r"\bzip(?: ?code)?(?: is)?[ :#]{1,3}(?P<v>\d{5}(?:-\d{4})?)(?![\w-])", 0.95, ("zip",)),
    _lower(
        "postcode",
        r"\bpost ?code(?: is)?[ :]{1,3}(?P<v>[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2}|[a-z]\d[a-z] ?\d[a-z]\d|\d{4,6})\b"
        r"|(?<![\w.])[a-z]\d[a-z] \d[a-z]\d(?!\w)",
        0.9,
        (),
    ),
    _lower(
        "coordinates",
        r"(?<![\w.])-?\d{1,2}\.\d{3,8} ?°? ?[ns]?,\s?-?\d{1,3}\.\d{3,8}(?: ?°? ?[ew]\b)?",
        0.9,
        (".",),
    ),
)


class AddressesAbroad:
    """Finds postal codes of other countries, and takes the house, street and town before them."""

    def spans(self, document: Document) -> Iterator[Span]:
        """Return addresses down to their postal codes."""
        text = document.shadow.text
        for code in _POSTCODE.finditer(text):
            before = _LEADS_TO.search(text, max(0, code.start() - _REACH), code.start())
            start = before.start() if before else code.start()
            while start < code.start() and (word := _NO_ADDRESS.match(text, start)):
                start = word.end()
            yield Span(min(start, code.start()), code.end(), Category.LOCATION, 0.995, "address-abroad")
