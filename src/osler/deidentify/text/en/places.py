"""Places below the state: streets, postal codes, towns by their form; states and countries may stay."""

import re
from typing import Final

from osler.deidentify.safe_harbor import small_zip_areas
from osler.deidentify.text.rule import Check, Rule
from osler.deidentify.text.spans import Category

STATE: Final = (
    r"(?:A[LKZR]|C[AOT]|D[EC]|FL|GA|HI|I[DLNA]|K[SY]|LA|M[EDAINSOT]|N[EVHJMYCD]|O[HKR]|PA|PR"
    r"|RI|S[CD]|T[NX]|UT|V[TA]|W[AVIY])"
)
STATE_NAME: Final = (
    r"(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida"
    r"|Georgia|Hawaii|Idaho|Illinois|Indiana|"
    r"Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Mass(?:achusetts|\.)|Michigan|Minnesota"
    r"|Mississippi|Missouri|Montana|Nebraska|"
    r"Nevada|New (?:Hampshire|Jersey|Mexico|York)|North (?:Carolina|Dakota)|Ohio|Oklahoma"
    r"|Oregon|Pennsylvania|Penn\.|Rhode Island|"
    r"South (?:Carolina|Dakota)|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming)"
)
CAPITALISED: Final = r"[A-Z\u00c0-\u00de][\w'&.\-]{0,30}"
_TOWN: Final = r"[A-Z\u00c0-\u00de][\w'&.]{0,30}(?:[ -][A-Z\u00c0-\u00de][\w'&.]{0,30}){0,2}"
_TYPE: Final = (
    r"(?:Street|St|Avenue|Ave|Av|Road|Rd|Drive|Dr|Lane|Ln|Boulevard|Blvd|Court|Ct|Circle|Cir"
    r"|Place|Pl|Way|Terrace|Ter|Trail|Trl|"
    r"Parkway|Pkwy|Highway|Hwy|Square|Sq|Loop|Crescent|Cres|Close|Row|Walk|Alley|Pike|Turnpike"
    r"|Route|Rte|Plaza|Point|Pt|Path|"
    r"Ridge|Run|Mews|Gardens|Grove|Heights|Hill|Crossing|Cove|Bend|Creek|Harbor|Junction"
    r"|Extension|Quay|Broadway|Esplanade)"
)
_UNIT: Final = (
    r"(?:,?\s{1,3}(?:[Aa]pt|[Aa]partment|APT|[Ss]uite|SUITE|STE|[Ss]te|[Uu]nit|UNIT|[Rr]oom|RM"
    r"|[Ll]ot|LOT|[Ss]pace|SPACE|[Ss]pc|SPC|[Tt]railer|TRLR|[Tt]rlr|[Pp]enthouse|PH"
    r"|[Ff]loor|[Ff]l|[Bb]ldg|#)\.?\s?#?\s?[\w\-]{1,6})?"
)


_TWO_WORD_STATES: Final = frozenset(
    f"{first} {second}"
    for first, seconds in (
        ("New", ("Hampshire", "Jersey", "Mexico")),
        ("North", ("Carolina", "Dakota")),
        ("South", ("Carolina", "Dakota")),
        ("West", ("Virginia",)),
        ("Rhode", ("Island",)),
    )
    for second in seconds
)


def zip3(code: str) -> str:
    """Return the three digits that may stay of a US ZIP code, 000 for a small area; '' for another code."""
    if not re.fullmatch(r"\d{5}(?:-\d{4})?", code):
        return ""
    return "000" if code[:3] in small_zip_areas() else code[:3]


def place_rule(
    name: str,
    pattern: str,
    score: float = 0.9,
    check: Check | None = None,
    *,
    needs: tuple[str, ...] = (),
    digits: bool = True,
) -> Rule:
    """Return a rule of places, which looks at the text as written; what it finds is more than a state."""

    def holds(match: re.Match[str]) -> bool:
        value = match["v"] if "v" in match.re.groupindex else match[0]
        return value not in _TWO_WORD_STATES and (check is None or check(match))

    return Rule(name, Category.LOCATION, pattern, score, needs, holds, cased=True, digits=digits)


def _abroad(match: re.Match[str]) -> bool:
    return not re.search(rf"\b(?:{STATE}|{STATE_NAME})[ ,]{{1,2}}\d{{5}}$", match[0])


RULES: Final = (
    place_rule(
        "street",
        rf"(?<![\w/.])\d{{1,6}}[A-Za-z]?(?:-\d{{1,5}})?\s(?:(?:[NSEW]|NE|NW|SE|SW|North|South|East"
        rf"|West)\.?\s)?(?:\d{{1,3}}(?:st|nd|rd|th|ST|ND|RD|TH)"
        rf"|{CAPITALISED}(?:[ ]{CAPITALISED}){{0,3}}?)\s(?:{_TYPE}|(?:STREET|AVENUE|ROAD|DRIVE|LANE"
        rf"|BLVD|BOULEVARD|COURT|CIRCLE|PLACE|WAY|TERRACE|ST|AVE|RD|DR|LN|CT|HWY"
        rf"|PKWY))\b(?:\.(?=,| (?:[A-Z]{{2}}\b|#|[Aa]pt|[Uu]nit|[Ss]uite)))?(?:\s(?:[NSEW]|NE|NW|SE|SW)\b\.?)?{_UNIT}",
        0.995,
        lambda m: not re.search(r"\s(?:FROM|AT|TO|IN|FOR|AND|WITH|ON|BY|PER)\s", m[0]),
    ),
    place_rule(
        "street-unit",
        r"(?<![\w.])\d{1,6} [^\n.;:?!]{3,45}\s{1,3}(?:[Aa]pt|APT|[Ss]uite|SUITE|[Uu]nit"
        r"|UNIT)\.? ?#?\d[\w-]{0,5}(?:[\n,>? ]{1,6}[^\W\d_][\w'.() \-]{1,28}){0,3}[ ,]{1,2}\d{4,6}"
        r"(?!\w)",
        0.88,
        _abroad,
        needs=("apt", "suite", "unit"),
    ),
    place_rule(
        "street-unit",
        r"(?<![\w.])\d{1,6} [^\n.;:?!]{3,45}\s{1,3}(?:[Aa]pt|APT|[Ss]uite"
        r"|SUITE)\.? ?#?\d[\w-]{0,5}",
        0.88,
        needs=("apt", "suite"),
    ),
    place_rule(
        "street-named",
        rf"\b(?:on|at|of|near|off|from|along|down|across|and|@) (?P<v>(?:(?:[NSEW]|NE|NW|SE|SW)\.? )?"
        rf"(?:{CAPITALISED}(?: {CAPITALISED})?|\d{{1,3}}(?:st|nd|rd|th)) (?:Street|St\b|Avenue"
        rf"|Ave\b|Road|Rd\b|Boulevard|Blvd\.?|Lane|Drive|Parkway"
        rf"|Highway|Hwy\b\.?|Pkwy\b|Ln\b|Trail|Turnpike|Circle|Cir\b|Loop|Court|Place|Terrace|Pike|Alley"
        rf"|Dr\b\.?)(?: and {CAPITALISED}(?: {CAPITALISED})?)?)",
        0.85,
        digits=False,
    ),
    place_rule("highway", r"\b(?:Interstate|I-|US|Route|Rte?\.?|Highway|Hwy)[ -]?\d{1,3}\b", 0.7),
    place_rule(
        "post-box",
        r"\b(?:[Pp]\.? ?[Oo]\.? ?[Bb]ox|PO BOX|[Pp]ost [Oo]ffice [Bb]ox|PSC|psc|CMR|RR(?= \d+,? [Bb]ox)"
        r"|[Uu]nit(?= \d+ [Bb]ox)) ?#?\d{1,6}(?:,? [Bb](?:ox|OX) \d{1,6})?",
        0.9,
        needs=("box", "psc", "cmr", "rr"),
    ),
    place_rule(
        "military-post", r"\b(?:APO|FPO|DPO|apo|fpo|dpo),? (?:A[EPA]|a[epa]) \d{5}\b", 0.95, needs=("apo", "fpo", "dpo")
    ),
    place_rule(
        "unit",
        r"\b(?:[Aa]pt|APT|[Aa]partment|[Ss]uite|SUITE)\.?\s?#?\s?\d[\w\-]{0,5}\b",
        0.85,
        needs=("apt", "apartment", "suite"),
    ),
    place_rule(
        "street-foreign",
        rf"\b(?:\d{{1,5}}[, ]{{1,2}})?(?:Calle|C/|Rua|Rue|rue|calle|Jalan|Via|Viale|Piazza|Avenida|Av\.|Avenue"
        rf"|Chemin|Plaza|Paseo|Carrera|Camino|Allée|Impasse|Corso|Strada|Ulica|ul\.) (?:(?:de|del"
        rf"|da|do|dos|di|la|las|los|du|des|l') ?){{0,3}}{CAPITALISED}(?:[ ](?:(?:de|del|da|do|di"
        rf"|la) )?{CAPITALISED}){{0,3}}(?:,? (?:n[º°o]\.? ?)?\d{{1,5}})?(?:,\s\d{{4,5}} {CAPITALISED})?",
        0.995,
        digits=False,
    ),
    place_rule(
        "street-compound",
        r"\b(?:\d{1,6} )?[A-ZÀ-Þ][\w\-]{2,24}(?:straße|strasse|str\.|gasse|platz|allee|weg|vägen"
        r"|vagen|vegen|veien|gatan|gata|katu|tie|straat|laan|gracht|plein|vej|gade|utca"
        r"|ulica) \d{1,5}[a-z]?\b(?:,\s(?:\d{4,5}(?: [A-Z]{2})?|\d{3} \d\d) [A-ZÀ-Þ][\w\-]{2,20})?",
        0.995,
    ),
    place_rule(
        "street-code-first",
        rf"\b(?:{CAPITALISED} ){{1,3}}\d{{1,4}}[a-z]?,\s(?:\d{{5}}|\d{{4}} [A-Z]{{2}}|\d{{3}} \d\d) {CAPITALISED}",
        0.995,
    ),
    place_rule(
        "town",
        rf"(?:,\s|\n)(?P<v>{_TOWN}),? (?=(?:{STATE_NAME}|{STATE}),?\s\d{{5}}\b)",
        0.9,
    ),
    place_rule("zip", rf"\b(?:{STATE}|{STATE_NAME})\.?[, ]{{1,2}}(?P<v>\d{{5}}(?:-\d{{4}})?)(?![\w-])", 0.95),
    place_rule(
        "zip",
        r"\b(?:[Zz]ip|ZIP|[Pp]ostal|POSTAL)(?: ?(?:[Cc]ode"
        r"|CODE))?(?: is)?[ :#]{1,3}(?P<v>\d{5}(?:-\d{4})?)(?![\w-])",
        0.95,
        needs=("zip", "postal"),
    ),
    place_rule(
        "town",
        rf"(?<![\w'])(?P<v>{_TOWN}),[ \n](?=(?:PA|MD|MS|MT|CT|PR)"
        rf"[ ,]{{1,2}}\d{{5}}|(?!PA|MD|MS|MT|CT|PR){STATE}(?![\w'/\-]))",
        0.9,
        lambda m: not re.search(r"(?:^|\s)(?:MD|DO|RN|NP|PA)$", m["v"]),
        digits=False,
    ),
    place_rule(
        "town",
        rf"\b(?:[Ii]n|[Ff]rom|[Aa]t|[Nn]ear|[Oo]f"
        rf"|[Tt]o) (?P<v>{_TOWN}), (?={STATE_NAME}\b)",
        0.9,
        digits=False,
    ),
    place_rule(
        "county",
        rf"\b(?P<v>{CAPITALISED}(?: {CAPITALISED})? (?:[Cc]ounty|Parish|Township|Borough|(?<!Rhode )Island"
        rf"|Reservation|Square|Nation))\b",
        0.88,
        lambda m: m["v"].split()[0] not in {"The", "Rhode", "Each", "Our", "This"},
        needs=("county", "parish", "township", "borough", "island", "reserv", "square", "nation"),
        digits=False,
    ),
    place_rule(
        "ward-room",
        r"\b(?:[Rr]oom|Rm|ROOM|RM|rm(?= ?#?\d{3}))\.? ?#?\d{2,4}[A-Z]?(?:-\d{1,2})?\b",
        0.7,
        needs=("room", "rm"),
    ),
)
