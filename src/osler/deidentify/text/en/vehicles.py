"""Vehicles: plates by their label, their state or the car they are on; numbers of boats and aircraft; flights."""

import re
from typing import Final

from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.places import STATE, STATE_NAME
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category

CARS: Final = (
    r"(?:jeep|ford|chevy|chevrolet|toyota|honda|nissan|hyundai|kia|subaru|mazda|dodge|tesla|bmw|audi|volvo|buick|lexus"
    r"|gmc|acura|infiniti|cadillac|chrysler|mercedes|mitsubishi|harley|camry|corolla|civic|accord|altima|f-?150"
    r"|silverado|tahoe|prius|rav4|wrangler|cr-?v|car|truck|van|suv|sedan|pickup|minivan|motorcycle|scooter|moped|atv"
    r"|explorer|escape|focus|fusion|mustang|ranger|tacoma|tundra|highlander|sienna|odyssey|pilot|sentra|rogue"
    r"|pathfinder|impala|malibu|equinox|suburban|outback|forester|impreza|elantra|sonata|ram|charger|durango|caravan"
    r"|cherokee|jetta|passat|volkswagen|vw|porsche|yukon|sierra|hatchback|coupe|bike|rv|tractor|semi|box truck"
    r"|vehicle|veh|auto(?:mobile)?)"
)
_STATES: Final = rf"(?:{STATE.lower()}|{STATE_NAME.lower()})"
_PLATE: Final = (
    r"(?:[a-z]{1,4}[ \-]?\d{1,5}(?:-?[a-z]{1,3}| [a-z]{2}(?= ?[,.;)\n]|\s?$))?|[a-z]{2,4} \d{1,2}-\d{3,5}"
    r"|\d{1,4}[ \-]?[a-z]{1,4}(?:[ \-]?[a-z\d]"
    r"{1,5})?|[a-z]{2,3}[ \-][a-z]\d{2,3}|[a-z]{3}[ \-]\d[a-z]\d{1,2}|\d{1,2}-\d{3,6}|[a-z\d]{5,8})"
)
_STRONG: Final = (
    r"(?:(?:licen[cs]e|lic|number|car|vehicle|veh|dealer|temp(?:orary)?) ?(?:plates?|tags?)|plates?(?= ?[#:])"
    r"|tags?(?= ?#)|lp(?= ?[#:])|plate (?:no|number)|registration plate|veh(?:icle)?(?: \d| #\d)? (?:lic|plate|tag"
    r"|reg))"
)
_WEAK: Final = r"(?:plates?|tag|lp|lic|reg(?:istration|n)?)"
_IS: Final = r"(?:[ .:#]{1,3}|,? (?:is|was|reads?|number|no\.?) )(?:(?:no\.?|number|is) )?"
_NOUNS: Final = frozenset(
    """
    mg ml mm cm kg mcg yo am pm hrs hr days day of and at in on for to was with the is x mph miles hole holes weeks week
    from had no per via are year age about over up two ten one mo wk wks feet mile lb lbs psi hp v6 v8
    months month years year min mins cc fr units ga inch in. ft screws screw mhz sets
    """.split()  # noqa: SIM905
)
_ALNUM: Final = re.compile(r"[a-z]+|\d+")


def _parts(match: re.Match[str]) -> list[str]:
    return _ALNUM.findall(match["v"].lower())


def _is_plate(match: re.Match[str]) -> bool:
    """Tell whether a value has the size of a plate, and is no number with its unit."""
    parts = _parts(match)
    digits = sum(len(part) for part in parts if part.isdigit())
    return (
        digits >= 2
        and 4 <= sum(map(len, parts)) <= 10
        and _NOUNS.isdisjoint([*(part for part in parts if len(part) > 1), *match["v"].lower().split()])
    )


def _is_surely_plate(match: re.Match[str]) -> bool:
    """Tell the same behind an ordinary word: letters and digits, and no word of the language."""
    if re.fullmatch(r"[a-z]{2,4} \d{1,2}-\d{3,6}", match["v"].lower()):  # a county's number, as in Wyoming
        return True
    words = re.findall(r"(?<![\w\-])[a-z]{2,}(?![\w\-])", match["v"].lower())
    parts = _parts(match)
    mixed = {part.isdigit() for part in parts} == {True, False}
    return (
        mixed
        and _is_plate(match)
        and not any(map(is_vocabulary, words))
        and not re.search("(?:19|20)[0-9]{2}", match["v"])
    )


def _vehicle(
    name: str, pattern: str, score: float = 0.9, *, sure: bool = False, needs: tuple[str, ...] = (), cased: bool = False
) -> Rule:
    check = _is_plate if sure else _is_surely_plate
    return Rule(name, Category.VEHICLE, pattern, score, needs, check, cased=cased)


RULES: Final = (
    _vehicle(
        "plate",
        rf"\b{_STRONG}(?: {_STATES})?{_IS}(?:{_STATES}[ \-:])?(?P<v>{_PLATE})(?![\w/%\-])",
        0.996,
        sure=True,
        needs=("plate", "tag", "lp", "lic", "reg"),
    ),
    _vehicle(
        "plate",
        rf"\b{CARS}\b[^.\n]{{0,50}}?\b{_WEAK}(?: {_STATES})?{_IS}(?:{_STATES}[ \-:])?(?P<v>{_PLATE})(?![\w/%\-])",
        0.996,
        sure=True,
        needs=("plate", "tag", "lp", "lic", "reg"),
    ),
    _vehicle(
        "plate",
        rf"\b(?:plates?|tag)(?: {_STATES})?{_IS}(?:{_STATES}[ \-:])?(?P<v>{_PLATE})(?![\w/%\-])",
        0.9,
        needs=("plate", "tag"),
    ),
    _vehicle(
        "plate",
        rf"\b{CARS}(?:,? (?!(?:{_STATES}) )[a-z]{{2,10}}){{0,2}}[,:]? [(#]?(?:{_STATES} )?"
        rf"(?P<v>\d[a-z]{{2,3}}[ \-]?\d{{2,4}}"
        rf"|[a-z]{{3}}[ \-]\d[a-z]\d{{1,2}}|[a-z]{{2}}\d{{2}}[ \-]?[a-z]{{3}}|\d{{2,3}}[ \-][a-z]{{3}})(?![\w/%\-])",
        0.85,
    ),
    _vehicle(
        "plate-state",
        rf"\b{CARS}\b[^.\n]{{0,60}}?[ (,#:](?P<v>(?=[a-z \-]{{0,4}}\d)(?=[\d \-]{{0,4}}[a-z])(?:[a-z\d]{{5,8}}"
        rf"|[a-z]{{2,3}}[ \-]\d{{3,4}}|\d{{2,3}}[ \-][a-z]{{3}}))(?=,? \(?{_STATES}\b(?!\w))",
        0.88,
    ),
    _vehicle(
        "plate-state",
        rf"(?<![\w\-])(?:{STATE}) (?:plate|tag|lic(?:ense)?"
        rf"|reg)[ :#]{{1,3}}(?P<v>[A-Z\d]{{2,8}}(?:[ \-][A-Z\d]{{2,5}})?)(?!\w)",
        0.9,
        cased=True,
    ),
    Rule(
        "aircraft",
        Category.VEHICLE,
        r"\b(?:aircraft|airplane|plane|cessna|piper|beechcraft|cirrus|helicopter|helo|tail(?: ?(?:no\.?|number|#))?"
        r"|medevac|crop duster|glider|pilot|airlifted|airlift|air (?:med|evac|ambulance)|life ?flight"
        r"|flown)\b[^.\n]{0,40}?(?<![\w\-])(?P<v>n-?\d{2,5}[a-hj-np-z]{0,2}"
        r"|[cdgf]-[a-z]{4}|cg-?\d{4})(?!\w)",
        0.93,
        digits=False,
    ),
    Rule(
        "boat",
        Category.VEHICLE,
        r"\b(?:boat|vessel|jet ?ski|pwc|watercraft|sea-?doo|skiff|pontoon|yacht|hull|sailboat|snowmobile|wave ?runner"
        r"|dinghy|kayak)\b[^.\n]{0,40}?(?<!\w)(?P<v>[a-z]{2}[ \-]?\d{4}[ \-]?[a-z]{2})(?!\w)",
        0.96,
    ),
    Rule(
        "hull-number",
        Category.VEHICLE,
        r"(?<!\w)(?:hin|hull)[ a-z]{0,8}[ :#]{1,3}(?P<v>[a-z]{3}[a-z\d]{5}[a-l]\d{3})(?!\w)",
        0.996,
    ),
    Rule(
        "flight",
        Category.OTHER_ID,
        r"\b(?:flight|flew(?: in on| on)?|flying) (?:no\.? |number |# ?)?(?P<v>(?!of|to|at|in|on|is"
        r"|no)[a-z\d]{2} ?\d{2,4})(?![\w/])",
        0.85,
        ("fl",),
    ),
    _vehicle(
        "plate",
        rf"\b{CARS}(?: plates?)?,? (?P<v>(?=[a-z]{{0,4}}\d)(?=\d{{0,4}}[a-z])(?=[a-z\d]{{0,6}}\d[a-z\d]{{0,4}}\d)"
        r"[a-z\d]{6,8})(?!\w)",
        0.85,
    ),
    _vehicle(
        "plate",
        rf"\b{CARS}(?:,? [a-z]{{2,10}}){{0,3}}[,:]? [(#]?(?P<v>[a-z]{{2,3}}[- ]\d{{3,4}}|[a-z]{{3}}\d{{3,4}})"
        r"(?![\w/%-]| ?(?:mph|miles|mg|cc))",
        0.85,
        sure=True,
    ),
)
