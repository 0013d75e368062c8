"""Places told by a feature: rivers and bridges, roads by their direction, corners, boxes, coordinates."""

import re
from typing import Final

from osler.deidentify.text.en.facilities import GENERIC
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.numbers import NUMBER_WORD
from osler.deidentify.text.en.places import STATE, place_rule
from osler.deidentify.text.en.proper import (
    STOP,
    is_clinical,
    is_proper,
    is_proper_no_drug,
    is_unusual,
    names_one,
    words_of,
)
from osler.deidentify.text.rule import Check, Rule
from osler.deidentify.text.spans import Category

_T: Final = r"[A-Z\u00c0-\u00de][a-z\u00df-\u00ff'][\w'\-]{1,24}"
_W: Final = r"(?:[A-Z\u00c0-\u00de][\w'&\-]{1,24}|&)"
_NAMES: Final = rf"{_T}(?: {_T}){{0,2}}"
_DIRECTION: Final = r"(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)"
_ROAD: Final = rf"(?:{_T}|MLK|\d{{1,3}}(?:st|nd|rd|th))"
_FEATURE: Final = (
    r"(?:Bay|Beach|River|Canyon|Valley|[Bb]ridge|[Tt]rail(?:head)?|Mountain|Dam|Pier|Marina|Harbor|Tunnel|Peninsula"
    r"|Falls|Hall|Dorms?|Towers?|Mall|Stadium|Casino|Resort|Ranch|Dairy|Orchards?|Vineyards?|Winery|Trailer Park"
    r"|Mobile (?:Home )?Park|RV Park|State Park|National (?:Park|Forest)|Fairgrounds|Pueblo|Rancheria"
    r"|[Cc]hapter [Hh]ouse|Wharf|Docks?|Quarry|Foundry|Shipyard|Iron Works|Steel|[Ff]oundry|Nation|Campground"
    r"|Golf (?:Course|Club)|Country Club|Yacht Club|Rest (?:Stop|Area)|Truck Stop|Travel Plaza|Way|Viaduct|Overpass"
    r"|Trailhead|Lagoon|Pond|Reservoir|Cemetery|Speedway|Raceway|Fairground|Ski (?:Area|Resort)|Amphitheater|Hostel"
    r"|Penitentiary|Detention(?: Center)?|State (?:Hospital|Prison|School|Penitentiary)|Youth Center|Halfway House"
    r"|Convent|Monastery|Seminary|Abbey|Kibbutz|Colony|Homestead|Bakery|Brewing|Brewery|Foods|Roofing|Trucking"
    r"|Plumbing|Construction|Landscaping|Lumber|Paper|Packing|Poultry|Electric|Freight|Airlines|Motel|Inn|Hills?"
    r"|Heights|Springs|Grove|Corners?|Junction|Crossing|Shores?|Landing|Dunes|Glen|Meadows?|Terrace|Suites"
    r"|Village|Shack|[Cc]ampus|Gate|Hut|House|Tavern"
    r"|Saloon|Grill|Diner|Pizza|Deli|Caf[eé]|Fitness|Ambulance|Ambulatory|Police|Fire|Rescue|Flight|MedFlight)"
)
_NO_FEATURE: Final = (
    r"(?! (?:fever|virus|disease|syndrome|position|spotted|encephalitis|chair|sign|score|criteria|classification|index"
    r"|scale|ant|pose|of (?:the )?(?:eye|pain)))"
)


def _place(name: str, pattern: str, score: float = 0.85, check: Check | None = None, *, digits: bool = False) -> Rule:
    return place_rule(name, pattern, score, check, digits=digits)


RULES: Final = (
    _place(
        "landmark",
        rf"(?<![\w'])(?P<v>{_T}(?: {_W}){{0,3}}? {_FEATURE}){_NO_FEATURE}(?![\w'])",
        0.78,
        names_one,
    ),
    _place(
        "landmark-first",
        rf"\b(?P<v>(?:Fort|Ft\.?|Camp|Lake|Mount|Mt\.?|Cape|Joint Base|Naval (?:Base|Station)|NAS|USS|USNS|HMS|FOB|CFB"
        rf"|MCAS|Marine Base|Isle of|Port|Bayou|Rancho|Villa|Hacienda|Colonia|Col\.|Barrio|Hotel|Hostel"
        rf"|Casa) {_T}(?: {_T})?)"
        r"(?! (?:score|criteria|consensus|questionnaire|syndrome|protocol))(?![\w'])",
        0.8,
        lambda m: (
            not re.match(
                r"(?:Port|Lake|Camp|Villa|Cape|Mount) (?:Site|Placed|Flushed|Access\w*|Film|Removal|In|Was|Is)", m["v"]
            )
        ),
    ),
    _place(
        "coordinates", r"(?<![\w.])\d{1,3}\.\d{2,8} ?°? ?[NSEW]\b|\b\d{1,3}° ?\d{1,2}(?:\.\d+)?['′]", 0.9, digits=True
    ),
    _place(
        "post-box",
        r"\b(?:HC|RR|RFD|[Rr]ural [Rr](?:oute|t)\.?|[Rr](?:oute|te?)|[Ss]tar [Rr](?:oute|t)\.?|hc|rr"
        r"|rfd) ?#?\d{1,3},? (?:[Bb]ox"
        r"|BOX) ?#?\d{1,5}(?:-?[A-Za-z])?\b",
        0.94,
        digits=True,
    ),
    _place(
        "lot",
        r"\b(?:[Pp]ark|PARK|[Cc]ourt|[Tt]railer|TRAILER|[Ee]states|[Vv]illage|[Hh]ome|HOME|[Aa]cres"
        r"|ACRES),? (?P<v>(?:[Ll]ot|LOT|[Ss]pace"
        r"|SPACE|[Ss]pc|SPC|#) ?#?\d{1,4}[A-Z]?)\b",
        0.8,
        digits=True,
    ),
    _place(
        "street-direction",
        rf"(?<![\w/.\-])\d{{1,5}} {_DIRECTION}\.? \d{{1,3}}(?:st|nd|rd|th|ST|ND|RD|TH)\b(?: (?:St|Ave|Street"
        rf"|Avenue)\b\.?)?",
        0.9,
        digits=True,
    ),
    _place(
        "street-named",
        rf"\b(?:on|off|at|near|along|down|up|by|across|of) (?P<v>{_DIRECTION}\.? (?:{_T}|\d{{1,3}}(?:st|nd|rd"
        rf"|th)))(?=[,.;)]|\s?$"
        r"| (?:and|&|in|near|when|with|today|by|at|since|x)\b)",
        0.8,
        lambda m: (
            m["v"].split()[0] not in {"North", "South", "East", "West"} or not is_vocabulary(m["v"].split()[-1].lower())
        ),
    ),
    _place(
        "street-named",
        r"\b(?:on|off|at|near|along|down) (?P<v>(?:Main|Elm|Oak|Maple|Pine|Cedar|Walnut|Chestnut|Spruce|Broadway|Birch"
        r"|Magnolia|Sycamore|Peachtree|Mulberry|Hickory|Juniper|Willow|Locust|Poplar|Dogwood|Ash|Birch|Fir|Holly"
        r"|Laurel|Beech|Aspen|Commerce|Market|Church|Park|State|Broad|Front|Wisteria|Washington"
        r"|Lincoln|Jefferson|Madison|Jackson|Monroe|Franklin|MLK|Sunset|Vine|Grand|Division|Union|Colfax))"
        r"(?=[,.;)]|\s?$| (?:and|&|in|near|when|today|by|x)\b)",
        0.75,
    ),
    _place(
        "street-number",
        rf"\b(?:PU|P/U|[Pp]ick(?:ed)?[- ]?up|[Ss]cene|[Ff]rom|DEST|[Dd]est|[Aa]t|@|[Ll]oc|ADDR|[Aa]ddr|[Hh]ouse"
        rf"|[Hh]ome|RP)[: ]{{1,2}}"
        rf"(?:at )?(?P<v>\d{{2,5}} (?:{_DIRECTION}\.? )?{_T}(?: {_T})?)(?=[,.;)\n]|\s?$| (?:and|in|by|via|cross|x)\b)",
        0.95,
        is_proper_no_drug,
        digits=True,
    ),
    _place(
        "street-number",
        r"\b(?:ADDR(?:ESS)?|RESIDES AT|LIVES AT|HOME ADDRESS"
        r"|ADD)[: ]{1,2}(?P<v>\d{1,5} (?:[NSEW]\.? )?[A-Z][A-Z'\-]{2,20}"
        r"(?: [A-Z]{2,12}){0,3})",
        0.85,
        digits=True,
    ),
    _place(
        "landmark-lower",
        rf"(?<![\w'])(?P<v>{_T}) (?:dunes|beach|creek|river|lake|trail|station|tram|plant|refinery|mall|hills?|park"
        rf"|pier|dam|bridge|depot|campus|exit|canyon|highway|road|street|farm|ranch"
        r"|mine|quarry|mill|factory|warehouse|office|store|branch|pool|gym|rink|arena|stadium|school|church|jail"
        r"|prison|camp|base|airport|shelter|bar|diner|casino|hotel|motel|marina|reservoir|tunnel|overpass|ramp)(?!\w)",
        0.76,
        is_unusual,
    ),
    _place(
        "building",
        r"\b(?P<v>(?:Tower|Pavilion|Building|Bldg\.?|BLDG|Wing|Terminal|Entrance|Hangar|Barracks|Pod|Annex|Concourse"
        r"|Ste\.?|STE|Lot|Dorm|Unit(?= [A-Z]\b)) ?#?(?:\d{1,4}[A-Z]?|[A-Z]))(?![\w'])",
        0.72,
        lambda m: not m["v"].startswith("Lot") or len(m["v"]) < 7,
    ),
    _place(
        "street-number",
        rf"(?<![\w/.\-])(?P<v>\d{{3,5}} (?:{_DIRECTION}\.? )?{_T}(?: {_T})?),? (?=(?:Ste|Suite|Apt|Unit|STE|SUITE"
        rf"|APT|#)\b\.?)",
        0.95,
        digits=True,
    ),
    _place(
        "corner",
        rf"\b(?:[Ii]ntersection|[Cc]orner|[Jj]unction|[Cc]ross streets?|[Jj]ob ?site)(?: (?:at|of|on|near|was))?:?"
        rf" (?P<v>{_ROAD}(?: {_T})? ?(?:and|&|/|@|x) ?{_ROAD}(?: {_T})?)(?![\w'])",
        0.95,
    ),
    _place(
        "corner",
        r"\b(?:[Ss]cene|[Cc]rash|MVC|MVA|[Aa]ccident|[Ss]truck|[Hh]it|[Ff]ound|[Ff]ell|[Ll]ives|[Aa]ssaulted)"
        rf"(?: (?:at|of|on|near|was))?:? (?P<v>{_ROAD}(?: {_T})? ?(?:and|&|/|@|x) ?{_ROAD}(?: {_T})?)(?![\w'])",
        0.82,
        lambda m: not all(map(is_clinical, words_of(m))),
    ),
    _place(
        "corner",
        rf"(?<![\w'])(?P<v>(?:{_T}|\d{{1,3}}(?:st|nd|rd|th)) (?:&|and|@) \d{{1,3}}(?:st|nd|rd|th))(?![\w'])"
        r"(?! (?:[Rr]ib|[Tt]oe|[Ff]inger|[Mm]et|[Dd]igit|[Nn]erve|[Cc]ran|[Vv]isit|[Dd]ose|[Dd]ay|[Ww]eek|[Mm]onth"
        r"|[Dd]eg|[Ii]nter))",
        0.8,
        lambda m: m["v"][0].isupper() and not is_clinical(words_of(m)[0]) and words_of(m)[0] not in STOP,
    ),
    _place("landmark-first", rf"\b(?P<v>(?:Point|Pt\.) {_T})(?![\w'])", 0.76, is_unusual),
    _place(
        "corner",
        rf"\b(?:[Aa]t|@|[Nn]ear) (?P<v>(?:{_T}|\d{{1,3}}(?:st|nd|rd|th)) (?:and|&|@) (?:{_T}|\d{{1,3}}(?:st|nd|rd"
        rf"|th)))(?=[,.;)\n]|\s?$)",
        0.75,
        lambda m: any(c.isdigit() for c in m["v"]) != all(map(str.isdigit, m["v"][:1])) and is_proper(m),
    ),
    _place(
        "town",
        rf"\b\d{{1,3}}(?:\.\d)? ?(?:mi|miles?|km|blocks?|min|minutes|hours?|hrs?)\.? (?:(?:{_DIRECTION}|north|south"
        rf"|east"
        rf"|west|outside|away)\b ?){{0,2}}(?:of|from) (?P<v>{_NAMES})(?![\w'])",
        0.95,
        is_proper,
    ),
    _place(
        "street-number",
        rf"(?<=[,;(] )(?P<v>\d{{2,5}} (?:{_DIRECTION}\.? )?(?:{_T} )?(?:{_T}))(?=[,.;)\n]|\s?$)",
        0.76,
        lambda m: (
            is_unusual(m)
            or re.search(
                r" (?:Main|Elm|Oak|Maple|Pine|Cedar|Broadway|Washington|Lincoln|Park"
                r"|Lake|Market|Church)$",
                m["v"],
            )
            is not None
        ),
        digits=True,
    ),
    Rule(
        "highway",
        Category.LOCATION,
        r"\b(?:rte|hwy|route|highway|interstate)\.? ?#?\d{1,3}[a-z]?(?![\w%/]|\.\d)(?! ?(?:mg|ml|cm|mm))",
        0.75,
        ("rte", "hwy", "route", "highway", "interstate"),
    ),
    Rule(
        "street-spoken",
        Category.LOCATION,
        rf"\b(?:address(?: is)?|lives? at|living at"
        rf"|residing at)[, ]{{1,2}}(?P<v>{NUMBER_WORD}(?:[- ]{NUMBER_WORD}){{1,4}} [a-z]{{3,15}}(?: [a-z]{{3,12}})?)"
        rf"(?= in\b|[,.;]|\s?$)",
        0.85,
        digits=False,
    ),
    _place(
        "town",
        rf"[A-Z]{{3,}}(?: \d+)?, (?P<v>[A-Z]{{4,14}}(?: [A-Z]{{4,14}})?),? (?={STATE} \d{{5}})",
        0.85,
        digits=True,
    ),
    Rule(
        "landmark-lower",
        Category.LOCATION,
        r"\b(?:in|from|of|on|at|near|off|,) (?:the )?(?P<v>[a-z]{3,15}(?: [a-z]{3,15})? (?:nation|rez|reservation"
        r"|rancheria|pueblo|chapter house|trailer park|mobile home park"
        r"|county|parish|township|apartments|apts|reservoir|marina|campground|truck stop|bridge))(?!\w)",
        0.78,
        check=lambda m: (
            m["v"].split()[0] not in STOP and m["v"].split()[0] not in GENERIC and not is_vocabulary(m["v"].split()[0])
        ),
        digits=False,
    ),
)
