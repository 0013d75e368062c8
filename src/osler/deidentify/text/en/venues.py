"""Places told by what somebody does there, or by a business's noun: firms, shops, camps, letterheads."""

import re
from typing import Final

from osler.deidentify.text.en.facilities import GENERIC
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.places import STATE_NAME, place_rule
from osler.deidentify.text.en.proper import KNOWN, STOP, is_clinical, is_odd, is_proper, is_unusual, words_of
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.en.written_dates import MONTH_NAMES
from osler.deidentify.text.rule import Check, Rule
from osler.deidentify.text.spans import Category

_T: Final = r"[A-Z\u00c0-\u00de][a-z\u00df-\u00ff'][\w'\-]{1,24}"
_W: Final = r"(?:[A-Z\u00c0-\u00de][\w'&\-]{1,24}|&)"
_NAMES: Final = rf"{_T}(?: {_T}){{0,2}}"
_CHAINS: Final = (
    r"(?:Piggly Wiggly|Home Depot|Lowe'?s|Target|Safeway|Publix|Wegmans|Hy-?Vee|Trader Joe'?s|Whole Foods|Aldi|H-?E-?B"
    r"|Winn-?Dixie|Dollar (?:General|Tree)|Best Buy|Sam'?s Club|Starbucks|McDonald'?s|Wendy'?s|Denny'?s|IHOP"
    r"|Waffle House"
    r"|7-?Eleven|Wawa|Sheetz|Amazon|FedEx|UPS(?= (?:driver|hub|store|warehouse|facility))|Boeing|Tyson|Perdue|Cargill"
    r"|Motel 6|Super 8|Holiday Inn|Hampton Inn|Google|Microsoft|Intel|Tesla(?= (?:plant|factory))|Uber(?= driver)"
    r"|Lyft(?= driver)|Weyerhaeuser|Caterpillar|John Deere|Lockheed(?: Martin)?|Raytheon|Smithfield|Hormel|Ford Motor)"
)
_ROLES: Final = re.compile(
    r"\b(?:physician|attending|chief|resident|fellow|department|division|professor|surgeon|board|certified"
    r"|specialist|electronically|signed|dictated|director|nurse|practitioner|assistant|associate|cardiology|neurology"
    r"|oncology|service|section|staff|page|date|time|phone|fax|pager|enc|cc|plan|assessment|impression|history|thank"
    r"|sincerely|patient|exam|allergies|medications|labs|subjective|objective|internal|emergency|family medicine)\b",
    re.IGNORECASE,
)


def _is_firm(match: re.Match[str]) -> bool:
    return not _ROLES.search(match["v"]) and any(word not in GENERIC for word in words_of(match))


def _is_unusual_first(match: re.Match[str]) -> bool:
    """Tell whether the first word is none of medicine, and no common word unless it is a state's name."""
    first = match["first"]
    codes = load_lexicon().get(first.lower(), ())
    if first.lower() in STOP or first.lower() in GENERIC or not KNOWN.isdisjoint(code[0] for code in codes):
        return False
    return {"w0", "w1"}.isdisjoint(codes) or re.fullmatch(STATE_NAME, first) is not None


def _no_state(match: re.Match[str]) -> bool:
    return not re.search(r"\b(?:medicaid|medicare|spouse|the|work|employer|va|cobra)\b", match["v"].lower())


def _place(name: str, pattern: str, score: float = 0.85, check: Check | None = None, *, digits: bool = False) -> Rule:
    return place_rule(name, pattern, score, check, digits=digits)


RULES: Final = (
    _place("chain", rf"(?<![\w'])(?P<v>{_CHAINS})(?![\w])", 0.8),
    _place(
        "site-stay",
        rf"\b(?:[Ii]ncarcerated (?:at|in)|[Jj]ailed (?:at|in)"
        rf"|[Hh]ospitali[sz]ed (?:at|in)|[Dd]etained (?:at|in)|[Ii]mprisoned (?:at|in)|[Ee]nrolled (?:at|in)|[Ww]ent to"
        rf"|[Dd]rove (?:up |down |over )?(?:to|from)|[Ff]lew (?:to|from|in from)|[Vv]acation(?:ed|ing)? (?:in|at)"
        rf"|[Bb]uried (?:at|in)|[Cc]amp(?:ed|ing) (?:at|in|near)|[Hh]ik(?:ed|ing) (?:at|in|near)|[Ff]ish(?:ed"
        rf"|ing) (?:at|in|on|near)"
        rf"|[Tt]ransfer(?:red)? (?:from|to)|[Xx]fer (?:from|to)|[Ss]ent (?:from|to)|[Dd]elivered at|[Bb]orn at"
        rf"|[Ss]een at|[Cc]are at|[Ff]ollow(?:ed|s) at|[Tt]reated at|[Aa]dmitted to|[Rr]eferred (?:from|by)"
        rf"|[Mm]arried in"
        rf"|[Gg]raduated from|[Aa]lum of|[Aa]ttend(?:s|ed|ing)|[Ww]orks? nights at|[Dd]onor hosp(?:ital)?:?|[Hh]osp:?"
        rf"|[Hh]ails from|[Ff]amily in|[Kk]in in|[Ss]on in|[Dd]aughter in|[Ss]ister in|[Bb]rother in|[Rr]elatives in)"
        rf" (?:the )?(?P<v>{_NAMES})(?![\w'])",
        0.76,
        is_proper,
    ),
    _place(
        "site-stay",
        rf"\b(?:[Dd]eployed (?:to|in)|[Ss]tationed(?: at| in)?|[Bb]ased (?:at|in)|[Gg]arrisoned (?:at"
        rf"|in)) (?P<v>{_NAMES})(?![\w'])",
        0.95,
        is_proper,
    ),
    _place(
        "site-named",
        rf"\b(?:[Dd]ay ?care|[Pp]reschool|[Cc]abin|[Dd]orm|[Ss]helter|[Gg]roup home|[Cc]hapter|[Tt]railer park"
        rf"|[Ss]ubdivision"
        rf"|[Nn]eighbou?rhood|[Aa]partments?|[Hh]alfway house|[Ff]oster agency|[Bb]arracks|[Pp]arish|[Rr]esort"
        rf"|[Cc]asino"
        rf"|[Cc]ruise ship|[Cc]ruise on(?: the)?|[Ff]erry|[Ss]chool is|[Ww]ing|OPO|DME|[Cc]arrier|[Vv]endor"
        rf"|[Aa]gency|[Hh]ospice|[Pp]harmacy|[Ss]tore|[Pp]lant|[Cc]hapel|[Mm]osque|[Tt]emple|[Mm]ass|[Tt]ower"
        rf"|[Pp]avilion"
        rf"|[Ll]odge):? (?P<v>{_T}(?: (?:of )?{_T}){{0,2}})(?![\w'])",
        0.78,
        lambda m: not re.search(r"(?:ed|ing)$", words_of(m)[0]) and words_of(m)[0] not in STOP,
    ),
    _place(
        "site-business",
        rf"\b(?:parking lot|parking garage|front|back|aisle|bathroom|restroom|lobby|entrance|roof|customer|cashier"
        rf"|clerk) (?:of|at|in)"
        rf" (?:the |a )?(?P<v>{_NAMES})(?![\w'])",
        0.8,
        lambda m: words_of(m)[0] not in GENERIC and not all(map(is_clinical, words_of(m))),
    ),
    _place(
        "employer",
        rf"\b(?:[Ee]x-|[Ff]ormer |[Rr]etired |[Ll]ongtime )(?P<v>{_T}) (?:engineer|employee|driver|worker|exec\w*"
        rf"|manager|pilot"
        r"|mechanic|cashier|officer|teacher|line ?man|machinist|supervisor)\b",
        0.8,
        is_proper,
    ),
    _place(
        "employer",
        rf"\b(?:policy|insurance|coverage|benefits|job|insured|retirement|pension) (?:thru|through|from|via|at"
        rf"|with) (?P<v>{_NAMES})(?![\w'])",
        0.75,
        _no_state,
    ),
    _place(
        "site-bracketed",
        rf"\b(?:care|living|facility|home|rehab|SNF|ALF|hospital|school|work|employer|clinic|dorm|shelter|church"
        rf"|store|bar|hotel|daycare|hospice|pharmacy|agency|camp|college|plant) \((?P<v>{_T}(?: {_T}){{0,2}})\)",
        0.8,
        lambda m: not all(map(is_clinical, words_of(m))),
    ),
    _place(
        "state-hospital",
        rf"\b(?:[Hh]x|[Hh]osp|[Aa]dm(?:itted)?|[Ii]npt|[Pp]rior|[Dd]onor hosp|[Xx]fer|@|[Dd]est|DEST|[Tt]o|[Ff]rom"
        rf"|[Aa]t):? (?P<v>{_T} (?:State|Regional|West|East|North|South|Valley|Central|Community))(?=[,.;)\n]|\s?$"
        rf"| (?:\d{1, 4}|for|in|on|via|ED|ER)\b)",
        0.76,
        lambda m: words_of(m)[0] not in STOP and words_of(m)[0] not in MONTH_NAMES,
    ),
    _place(
        "destination",
        r"\b(?:DEST|Dest|[Tt]ransport(?:ed)? to|[Dd]iverted to"
        r"|[Ee]n ?route to):? (?P<v>[A-Z]{3,6})(?![\w'])",
        0.76,
        lambda m: words_of(m)[0] not in GENERIC and not is_vocabulary(words_of(m)[0]),
    ),
    _place(
        "site-unusual",
        rf"(?:->|\b(?:in|from|at|near|via|through|on|outside|past|behind|[Ll]ives?|[Ll]iving|[Vv]isits|[Aa]ttends"
        rf"|[Pp]harmacy|[Ss]tore|[Ss]chool|LZ|[Ww]orks|[Rr]esides|[Cc]lub|[Pp]layed for|[Pp]lays for|[Ff]ans? of))"
        rf" (?:the |old |upper |lower |downtown |north |south |east |west )?(?P<v>{_T})(?![\w'])(?! (?:[Tt]est"
        rf"|[Ss]core|[Ss]cale))",
        0.72,
        is_unusual,
    ),
    _place(
        "site-initials",
        r"\b(?:[Ss]een(?: at)?|[Tt]ransferred (?:from|to)|[Pp]resented (?:to|at)|[Ll]aunched from|[Ll]anded at"
        r"|[Ff]lown (?:from|to)|[Dd]elivered at|[Bb]orn at|[Aa]dmitted (?:to|at)"
        r"|[Hh]ospitalized at) (?P<v>[A-Z]{3,6})(?![\w'])",
        0.74,
        lambda m: (
            not KNOWN.intersection(code[0] for code in load_lexicon().get(m["v"].lower(), ()))
            and not is_vocabulary(m["v"].lower())
            and m["v"] not in {"ICU", "MICU", "SICU", "CCU", "NICU", "PICU", "PACU", "OSH"}
        ),
    ),
    _place(
        "site-caps",
        r"\b(?P<v>[A-Z'\-]{4,15}(?: [A-Z]{3,12})? (?:MOBILE|TRAILER|MANUFACTURED)(?: HOME)? (?:EST(?:ATES)?|PARK|PK"
        r"|COMMUNITY|VILLAGE|COURT)(?: (?:SPC|LOT|UNIT|#) ?\d{1,4})?)\b",
        0.8,
    ),
    Rule(
        "chain",
        Category.LOCATION,
        r"\b(?:piggly wiggly|home depot|dairy queen|burger king|taco bell|best buy|waffle house|cracker barrel"
        r"|whole foods|trader joe'?s|dollar (?:general|tree)|pizza hut|motel \d{1,2}|super 8 motel"
        r"|holiday inn|hampton inn|days inn|best western|comfort inn|7-eleven|circle k|olive garden|red lobster"
        r"|chick-fil-a|walmart|walgreens|costco|kmart|wendy'?s|mcdonald'?s|starbucks|planet fitness|ymca|ywca"
        r"|greyhound (?:station|depot|terminal)|amtrak(?: station)?)(?!\w)",
        0.8,
        (
            "pig",
            "home",
            "dairy",
            "burger",
            "taco",
            "best",
            "waffle",
            "cracker",
            "whole",
            "trader",
            "dollar",
            "pizza",
            "motel",
            "inn",
            "7-",
            "circle",
            "olive",
            "red ",
            "chick",
            "mart",
            "wal",
            "costco",
            "wendy",
            "mcdon",
            "starb",
            "planet",
            "ym",
            "yw",
            "grey",
            "amtrak",
        ),
        digits=False,
    ),
    Rule(
        "site-lower",
        Category.LOCATION,
        r"\bdest(?:ination)?:? (?P<v>[a-z][a-z']{2,15}(?: [a-z']{3,12})?)(?=[.,;\n]|\s?$)",
        0.75,
        ("dest",),
        lambda m: not any(w in GENERIC or w in {"home", "snf", "unknown", "pending"} for w in m["v"].split()),
        digits=False,
    ),
    _place(
        "town",
        r"\b(?:RD|ST|AVE|HWY|DR|LN|BLVD|ROUTE|RTE|ROAD|STREET"
        r"|AVENUE)(?: \d{1,4})?, (?P<v>[A-Z]{4,14}(?: [A-Z]{4,14})?)(?=[.,;\n]|\s?$)",
        0.8,
        is_proper,
    ),
    _place(
        "clinic-short",
        rf"(?<![\w'])(?P<v>(?P<first>{_T})(?: {_T})? (?:Renal|Pain|Kidney|Med|Ortho|Cardiology|Heart|Spine|Derm|Peds"
        rf"|Pediatrics|Endocrine|Neuro|Neurology|GI|ENT|OB|Surgical|Vision|Dental"
        r"|Imaging|Rehab|Home Health|Behavioral|Psych|Wellness|Recovery|Radiology|Urology|Dialysis|Eye|Women's"
        r"|Physicians|Nephrology|Oncology|Arms|Court|Courts|Commons|Place|Meadows))(?![\w'])",
        0.76,
        _is_unusual_first,
    ),
    _place("school-numbered", r"\bP\.?S\.? ?#?\d{3}\b", 0.8, digits=True),
    _place("ward", r"(?<![\w\-])\d{1,2}[NSEWC]-\d{2,4}(?![\w\-])", 0.75, digits=True),
    Rule(
        "site-lower",
        Category.LOCATION,
        r"\b(?:lives?|living|rv|stays?|staying|moved|from|near|visiting|outside|born|raised|resides|home)(?: (?:in"
        r"|at|near|to|from|out in|up in|down in|over in))? (?P<v>[a-z]{5,15})(?=[.,;\n]|\s?$)",
        0.75,
        check=lambda m: (
            m["v"] not in load_lexicon()
            and not re.search(
                r"(?:ed|ing|ly|ness|tion|itis|osis"
                r"|emia)$",
                m["v"],
            )
        ),
        digits=False,
    ),
    Rule(
        "facility-lower",
        Category.LOCATION,
        r"\b(?:uses|at|to|from|via|seen at|goes to|@) (?P<v>(?:[a-z]{2,12} ){1,2}(?:regional|memorial|general|mercy"
        r"|methodist|baptist|presbyterian|lutheran|mercy))(?=[.,;\n]|\s?$| (?:ed|er|for|on|last)\b)",
        0.76,
        ("regional", "memorial", "general", "mercy", "methodist", "baptist", "presbyt", "lutheran"),
        lambda m: (
            m["v"].split()[0] not in GENERIC and m["v"].split()[0] not in STOP and not is_clinical(m["v"].split()[0])
        ),
        digits=False,
    ),
    _place(
        "congregation",
        rf"\b(?:Our Lady (?:of )?(?:the )?{_T}(?: {_T})?|(?:Sacred Heart|Immaculate (?:Heart|Conception)"
        rf"|Blessed Sacrament|Holy (?:Name|Family|Cross|Ghost|Spirit|Trinity|Redeemer|Rosary)"
        rf"|Good (?:Samaritan|Shepherd|Sam)|Mount Carmel|(?:First|Second|Grace|Trinity|Calvary|Zion|Bethel|Faith"
        rf"|Emanuel|Emmanuel|Mt\.? Zion) (?:Baptist|Methodist|Presbyterian|Lutheran|Congregational"
        rf"|Christian|UMC|AME|Episcopal|Assembly|Church|Temple|Chapel))(?: of {_T})?)(?![\w'])",
        0.86,
    ),
    _place("facility-of", rf"\b(?:U|Univ)\.? of (?:the )?{_T}(?: {_T})?(?![\w'])", 0.95),
    _place(
        "employer",
        rf"\b(?:[Ee]mployer|[Ee]mployed by|[Ww]orks (?:at|for)|[Ii]nsured by|[Ff]irm):? (?P<v>{_T} (?:and"
        rf"|&) {_T})(?![\w'])",
        0.85,
        is_proper,
    ),
    _place(
        "military-unit",
        r"\b\d{1,3}(?:st|nd|rd|th) (?:Bn|Battalion|Marines?|Infantry|Cav(?:alry)?|Airborne|Regiment|Brigade|Division"
        r"|Armored|Rangers|Wing|Squadron|Fleet)"
        r"(?:,? \d{1,3}(?:st|nd|rd|th) (?:Marines?|Infantry|Cavalry|Regiment|Brigade|Division))?",
        0.8,
        digits=True,
    ),
    _place(
        "facility-abroad",
        rf"\b(?:Hospital|Cl[ií]nica|Klinik(?:um)?|H[oô]pital|Ospedale|Centro (?:M[eé]dico|de Salud)|Sanatorio"
        rf"|Instituto|Policl[ií]nico|Krankenhaus|Szpital)"
        rf" (?:(?:de|del|la|las|los|do|da|di|des?) ){{0,2}}(?P<name>{_T})(?: (?:de |del |la )?{_T}){{0,2}}",
        0.95,
        lambda m: is_odd(m["name"].lower()),
    ),
    _place("ward", r"(?<![\w/.\-])\d{1,2} (?:North|South|East|West)(?=[,.;)\n]|\s?$)", 0.72, digits=True),
    _place(
        "highway",
        r"\b(?:on|off|near|at|along) (?P<v>(?:SR|CR|FM|SH|US|SH|Loop|State"
        r"|County)[ -]?\d{1,4}[A-Z]?)(?![\w.%/])",
        0.8,
        digits=True,
    ),
    _place(
        "firm",
        rf"(?<![\w'])(?P<v>{_T}(?:,? (?:&|and )? ?{_T}){{0,3}},? (?:LLP|LLC|PLLC|PC(?!\w)|P\.C\.|PA(?=\n|$)|P\.A\."
        rf"|Inc\b\.?|Co\.|Corp\b\.?|& Sons?"
        rf"|& Daughters?|& Assoc\w*|Bros\b\.?|& Co\b\.?)(?: {_T})?)",
        0.82,
        _is_firm,
    ),
    _place(
        "letterhead",
        r"(?m)^.{3,50},? (?:MD|DO|NP|PA-C|RN|PhD|DDS|DPM|LCSW|FACC|FACS"
        r"|FACP)\.?\n(?P<v>[A-Z][\w'&\-]{1,20}(?: [A-Z&][\w'&\-]{0,20}){1,4})$",
        0.8,
        _is_firm,
    ),
    _place(
        "letterhead",
        rf"(?m)^(?:FROM|From|TO|To|Sender|SENDER|Recipient|RECIPIENT|Facility|Practice|Clinic|Agency"
        rf"|Company)[: ]{{1,3}}"
        rf"(?P<v>{_T}(?: {_W}){{0,4}})(?=\s*$|[,;]|  | (?:FAX|Fax|fax|PH|Ph|Phone|Tel|F:|T:))",
        0.76,
        _is_firm,
    ),
    _place(
        "letterhead",
        rf"(?m)(?<=[/,] )(?P<v>{_T}(?: {_T}){{0,2}} (?:Physicians|Associates|Ortho|Orthopedics|Pediatrics|Cardiology"
        rf"|Heart|Surgical|Dental"
        r"|Internal Medicine|Family|Urology|Neurology|Oncology|Imaging|Radiology|Spine|Eye|Dermatology|Women's"
        r"|ENT))(?=\s*$|[,;.)])",
        0.76,
        _is_firm,
    ),
    _place(
        "site-caps",
        r"\b(?:RESIDES (?:AT|IN)|LIVES (?:AT|IN|NEAR)|(?:TRANSFERRED|ADMITTED|SENT|ARRIVED|BROUGHT IN) FROM"
        r"|RESIDENT OF|EMPLOYED (?:AT|BY)|WORKS"
        r" (?:AT|FOR)|TRANSFERRED TO|DISCHARGED TO|BORN (?:AT|IN)|NATIVE OF|FROM"
        r"|VISITING) (?P<v>[A-Z][A-Z'&\-]{2,20}(?: [A-Z'&\-]{2,20}){0,3}?)"
        r"(?=[,.;\n]|\s?$| (?:LOT|APT|ON|WITH|FOR|BY|VIA|OFF|AND|TODAY|IN|UNIT)\b)",
        0.76,
        lambda m: (
            words_of(m)[0] not in STOP
            and not GENERIC.issuperset(words_of(m))
            and (
                not any(map(is_vocabulary, words_of(m)))
                or re.search(
                    r"\b(?:ACRES|PARK|MANOR|VILLAS?|APARTMENTS|APTS|ESTATES|PINES|OAKS|MEADOWS|TERRACE|CARE CENTER"
                    r"|HOSPITAL|GARDENS|HEIGHTS)$",
                    m["v"],
                )
                is not None
            )
        ),
    ),
    Rule(
        "site-lower",
        Category.LOCATION,
        r"\b(?:transferred|transfer|xfer|sent|referred|moved|visiting|discharged|d/c'?d|brought in|bib ems|hauls"
        r"|commutes) (?:from|to) (?P<v>[a-z][a-z'\-]{2,15}"
        r"(?: [a-z'\-]{2,15}){0,2})(?=[,.;\n]|\s?$| (?:for|with|via|by|after|on|w/|last|today|in)\b)",
        0.75,
        ("from", "to"),
        lambda m: all(map(is_odd, (w for w in words_of(m) if w not in {"st", "saint", "mt", "lukes"}))),
        digits=False,
    ),
)
