"""Places of forms and face sheets: a label, then all that stands in its cell; and places that locate by their form."""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text.en.facilities import GENERIC
from osler.deidentify.text.en.lexicon import is_vocabulary
from osler.deidentify.text.en.places import STATE, place_rule
from osler.deidentify.text.engine import Document
from osler.deidentify.text.rule import Rule
from osler.deidentify.text.spans import Category, Span

_PLAIN: Final = (
    r"(?:(?:home|mailing|street|billing|work|current|permanent|patient|temp(?:orary)?|local|school|employer|business)"
    r" )?addr(?:ess)?(?: line)?(?: ?[123])?|street|residence|city(?: ?[/,& ] ?st(?:ate)?)?(?: ?[/,& ] ?zip)?"
    r"|town(?:ship)?|county|borough"
    r"|neighbou?rhood|(?:employer|company|workplace|place of (?:work|employment)|work ?place|school|facility|hospital"
    r"|shelter|church|parish|congregation|tribe|reservation)(?: name)?|employed by|name of (?:employer|school|facility)"
    r"|(?:ordering|service|clinic|visit|performing|collection|draw|site)[ ](?:location|site|facility|lab|clinic)"
    r"|(?:sending|referring|receiving|transferring|originating|outside|admitting|prior|discharge) (?:facility|hospital"
    r"|clinic|site)|(?:preferred |home |local |retail )?pharmacy(?: name)?|place of birth|birth ?place|hometown"
    r"|(?:nursing|group|funeral) home|dialysis (?:unit|center)|cross streets?|scene(?: of accident)?|incident location"
    r"|place of (?:accident|injury|service|death)|(?:pcp |home )?(?:clinic|practice)(?: name)?"
    r"|home health(?: agency)?|agency|living (?:situation|arrangement)s?|housing|campus|precinct|village|day ?care|snf"
)
_NUMBERED: Final = (
    r"loc(?:ation)?|unit(?: ?/ ?(?:bed|room|rm))?|(?:room|rm)(?: ?/ ?bed)?|bed|nurs(?:ing|e) unit|ward|dept"
    r"|department|station|assigned (?:location|unit)|pt loc(?:ation)?|lives (?:at|on)|zip(?:/city)?"
)
_LABEL: Final = re.compile(
    rf"(?:^|(?<=[;|\t,.(])[ ]?|(?<=  ))[ \t*\-]{{0,4}}(?:(?P<plain>{_PLAIN})|(?P<numbered>{_NUMBERED}))"
    r"(?P<joint>[ \t]{0,16}[:=|][ \t]{0,16}|[ ]?\t{1,3}[ ]{0,3}|[ ]{2,16})(?=[^\s:|=])",
    re.MULTILINE,
)
_CELL: Final = re.compile(
    r"(?:[^\n\t;|.:()\[\] ]|\.(?!\s|$)|[ ](?! |[-–] |[a-z]{2,12}(?: ?(?:#|no|code|id|name))?[:=])|:(?=\d)){2,70}\.?"
)
_NOTHING: Final = re.compile(
    r"(?:none|n/?a|unk(?:nown)?|same|self|retired|unemployed|disabled|student|see|refused|declined|not|no|yes|homeless"
    r"|undomiciled|unhoused|other|pending|tbd|left|right|usa?|home|nil|on file|as above|private|out of state|various"
    r"|retail|called|closed|notified|unable|stable|deferred|current|local|outside|inpatient|outpatient|clinic|ed|er|or"
    r"|icu|micu|sicu|pacu)\b"
)
_STATE_END: Final = re.compile(rf",?[ ]{{1,2}}(?:{STATE.lower()})$")


def _is_place(value: str, as_written: str) -> bool:
    """Tell whether a cell holds a place: no empty answer, and no plain words in lower case."""
    if _NOTHING.match(value) or not any(map(str.isalnum, value)):
        return False
    if as_written[0].isupper() and " " in value and not re.search(r"[\dA-Z]", as_written[1:]):
        return any(not is_vocabulary(word) for word in value.split())
    words = [word for word in re.findall(r"[a-z'\-]{2,}", value) if word not in GENERIC]
    if as_written[0].isdigit():
        return bool(words) or len(value) < 8
    if as_written[0].islower():
        return any(not is_vocabulary(word) for word in (words if as_written == value else words[:1]))
    return bool(words)


class Fields:
    """Finds what stands in the cells of places."""

    def spans(self, document: Document) -> Iterator[Span]:
        """Return the values of labels such as "Employer:"."""
        text, lower = document.shadow.text, document.shadow.lower
        for label in _LABEL.finditer(lower.replace("_", " ")):
            cell = _CELL.match(lower, label.end())
            if cell is None:
                continue
            value = cell[0].rstrip(" .,-")
            state = _STATE_END.search(value)
            value = value[: state.start()] if state else value
            end = label.end() + len(value)
            as_written = text[label.end() : end]
            if not value or (not label["joint"].strip() and "\t" not in label["joint"] and as_written == value):
                continue
            if label["numbered"]:
                code = re.match(r"(?=[a-z/ \-]{0,12}\d)[a-z\d]{1,5}(?:[ \-/][a-z\d]{1,6}){0,3}(?!\w)", value)
                if code and not _MEASURE.search(value):
                    yield Span(label.end(), label.end() + code.end(), Category.LOCATION, 0.72, "field")
            elif _is_place(value, as_written):
                yield Span(label.end(), end, Category.LOCATION, 0.86, "field")


_MEASURE: Final = re.compile(
    r"\b(?:l|t|c|s)\d|\d ?(?:mm|cm|mg|ml|degrees?|%|hours?|days?|weeks?|units?)|\bof\b|-\d/|day"
)
_T: Final = r"[A-Z][a-z'\-]{1,24}"
_NEAR: Final = (
    r"(?:[Ll]iv(?:es?|ed|ing)|[Rr]esid(?:es?|ed|ing)|[Gg]rew up|[Rr]aised|[Bb]orn|[Mm]oved?|[Rr]elocat(?:ed|ing)"
    r"|[Ss]tay(?:s|ed|ing)?|[Hh]ouse|[Aa]partment|[Cc]ondo|[Cc]abin|[Ff]arm|[Tt]railer|[Nn]ative|[Ii]mmigrated"
    r"|[Vv]acation(?:ed|ing)?|[Tt]ravel(?:l?ed|l?ing)?|[Tt]rip|[Rr]eturned|[Cc]ommutes?|[Dd]rives?|[Ww]orks?|[Ff]lew)"
)
_STOP: Final = r"(?! (?:and|to|for)? ?(?:Dr|Mr|Mrs|Ms)\b)"
_LOWER_KIND: Final = (
    r"(?:snf|alf|ecf|ltac|assisted living|nursing home|rehab|elementary|middle school|high school|manor|hospice"
    r"|daycare|apartments|apts|group home|care center|nursing|church|academy|university|college|clinic|hospital"
    r"|medical center|health center|retirement|senior living|memory care|correctional|jail|prison|airport|shelter"
    r"|high|school|dialysis|pharmacy|plant|factory|warehouse|mine|mill|refinery|casino|base)"
)
_NO_NAME: Final = GENERIC | frozenset(
    """
    subacute pulmonary aquatic vestibular private nearby same some new old nearest any every each jail state federal
    county public night summer nursing current previous another which whatever large small big my its psych inpt
    outpt acute-care op ip inpatient outpatient higher lower level rehab snf grade junior senior vocational trade
    medical law nursing graduate preschool law cosmetology beauty flight parochial catholic christian charter magnet
    online home water power steel paper auto car food chicken meat saw military army navy be get have go do make keep
    daily weekly work working vet weight-loss methadone suboxone abortion std ivf minute retail long short mail order
    discount va compounding specialty hospital's facility's chain big-box grocery commercial city town village regional
    memorial baptist methodist lipid cpap bp gout ostomy lymphedema incontinence tb hep hepatitis sickle cell post
    chronic csf cf als ms amputee tele telehealth virtual same-day next-day anti-coag inr ascites ccu micu sicu nicu
    picu osh skilled rehabilitation assisted living memory respite hospice palliative lithium clozaril wic
    """.split()  # noqa: SIM905
)


def _is_lower_name(match: re.Match[str]) -> bool:
    words = match["name"].split()
    return not any(word in _NO_NAME for word in words) and not re.fullmatch(
        r"(?!st|mt|ft|el|la)[a-z]{1,2}", words[0].strip(".")
    )


def _is_street(match: re.Match[str]) -> bool:
    return not any(is_vocabulary(word) and len(word) < 3 for word in match["name"].lower().split())


def _no_digit_of_body(match: re.Match[str]) -> bool:
    after = match.string[match.end() : match.end() + 16]
    return not re.match(
        r" ?(?:ribs?|toes?|fingers?|digits?|nerves?|metat|metac|web|intercostal|vertebr)", after
    ) and not re.search(r"(?:third|fourth|fifth|sixth|\d|rib|toe|finger|left|right)", match["name"])


RULES: Final = (
    place_rule(
        "site-lived",
        rf"\b{_NEAR}\b[^.\n;:,]{{0,40}}? (?:in|to|near|from|at|around|off|by) (?:the )?(?P<v>{_T}(?: {_T}){{1,3}}"
        rf"){_STOP}(?![\w'])",
        0.78,
        lambda m: not GENERIC.issuperset(m["v"].lower().split()),
        digits=False,
    ),
    place_rule(
        "site-business",
        r"\b(?:[Bb]ehind|[Aa]cross from|[Nn]ext to|[Oo]utside(?: of)?|[Ii]n front of|[Oo]ut of|[Nn]ear|[Aa]t|@"
        rf"|[Ii]nside|[Dd]rives for|[Ee]ating at|[Ss]hopping at|[Ss]hops at) (?:the )?(?P<v>(?:[A-Z]{{2,5}}|{_T}) {_T}"
        rf"(?: {_T})?)(?![\w'])",
        0.72,
        lambda m: (
            not re.search(
                r"\b(?:The|This|Bedside|Baseline|Time|Discharge|Night|Home|Rest|Risk|Room|Bed|Day|Dr|Mr|Mrs|Left|Right"
                r"|Erb|Mc|January|February|March|April|May|June|July|August|September|October|November|December)",
                m["v"],
            )
            and not GENERIC.issuperset(m["v"].lower().split())
            and any(word not in _NO_NAME for word in m["v"].lower().split())
        ),
        digits=False,
    ),
    place_rule(
        "site-works",
        r"\b(?:[Ww]orks?|[Ww]orked|[Ww]orking|[Dd]rives|[Dd]rove|[Rr]etired|[Ee]mployed|[Tt]eaches|[Ll]aid off|[Hh]ired"
        r"|[Ff]ired|[Pp]ensioned)\b[^.\n;:,]{0,25}? (?:at|@|for|from|with|by) (?:the )?"
        r"(?P<v>[A-Z][\w'&\-]{1,20}(?:(?: &)? [A-Z][\w'&\-]{1,20}){0,3}(?: (?:plant|hub|warehouse|factory|mine|mill"
        r"|elevator|depot|terminal|refinery|yard|base|store|farm))?)(?![\w'])",
        0.8,
        lambda m: not re.match(r"(?:The|Home|PT|OT|Dr|Mr|Mrs|Ms|RN|MD|SW|HR|IT|ED)\b", m["v"]),
        digits=False,
    ),
    place_rule(
        "site-workplace",
        rf"\b(?P<v>{_T}(?: {_T}){{0,2}} (?:plant|hub|warehouse|factory|refinery|depot|coop|co-op|IHS|HS|Elem\b\.?"
        r"|Elementary|Jr\.? High|AFB|ISD|AME|Coop|Elevator|Speedway|Raceway|Turnpike|Tollway|Reservation))(?![\w'])",
        0.85,
        lambda m: m["v"].split()[0].lower() not in GENERIC,
        digits=False,
    ),
    place_rule(
        "street-direction",
        r"(?<![\w/.\-])\d{2,5} (?:[NSEW]|NE|NW|SE|SW|North|South|East|West)\.? (?P<name>[A-Z][A-Za-z'\-]{2,20}"
        r"(?: [A-Z][A-Za-z'\-]{2,20})?)(?=[,.;)\n\t]|  |\s?$)",
        0.88,
        _is_street,
    ),
    place_rule(
        "street",
        r"(?<![\w/.\-])\d{2,6} (?:[NSEW]\.? )?[A-Z][A-Za-z'\-]{1,20}(?: [A-Z][A-Za-z'\-]{1,20}){0,2} (?:Hollow|Knoll"
        r"|Trace|Xing|Commons|Landing|Glen|Meadows?|Vista|Overlook|Summit|Spur|Bluffs?|Bypass|Expressway|Fwy|Freeway"
        r"|Oval|Green|Manor|Village|Orchard|Estates|View|Chase|Causeway|Common|Fork|Ford|Mill|Mills|Springs?|Valley"
        r"|Wood|Woods|Shore|Shores|Pass|Field|Fields|Falls|Forest|Lakes?|Island|Isle|Canyon|Trc|Holw|Bnd|Cv)\b",
        0.85,
    ),
    Rule(
        "corner",
        Category.LOCATION,
        r"\b(?:on|at|near|off|of|@) (?P<v>\d{1,3}(?:st|nd|rd|th)(?: st| ave)? (?:and|&|@) (?P<name>[a-z\d]{3,15})"
        r"(?: (?:st|ave|street|avenue|rd|blvd))?)(?!\w)",
        0.82,
        ("st ", "nd ", "rd ", "th "),
        _no_digit_of_body,
    ),
    Rule(
        "highway",
        Category.LOCATION,
        r"\b(?:(?:county|state|township|ranch|farm[- ]to[- ]market) (?:road|route|rd|rte|hwy|highway)|cr|fm|sr"
        r"|us) ?#?-?"
        r"(?P<number>\d{1,4})(?=[,.;)]|\s?$| (?:near|in|at|and|by|when|just|outside|north|south|east|west|in"
        r"|heading)\b)",
        0.8,
        ("road", "route", "rd", "rte", "hwy", "highway", "cr", "fm", "sr", "us"),
        lambda m: not m[0].startswith(("cr", "us")) or (int(m["number"]) > 9 and m[0][2:3] in " -"),
    ),
    place_rule(
        "ward",
        r"\b(?:[Ff]rom|[Tt]o|[Oo]n|[Uu]p to|[Ff]loor|[Uu]nit) (?P<v>\d{1,2}(?:N|S|E|NE|NW|SE|SW"
        r"|W(?! ago))(?:-?\d{1,3})?)(?![\w'])",
        0.72,
    ),
    place_rule(
        "store-number",
        r"\b(?:[Pp]harmacy|[Ss]tore|[Rr]x|[Ee]mployer|[Aa]t|[Ff]rom|[Ww]orks)\b[^\n.;]{0,30}?"
        r"(?P<v>[A-Z][\w'&\-]{1,20} #\d{2,6})(?!\w)",
        0.85,
        needs=("#",),
    ),
    place_rule(
        "school-of-student",
        rf"\b(?P<v>(?:[A-Z]{{2,5}}|{_T})(?: {_T}){{0,2}}) (?:freshman|sophomore|undergrad\w{{0,6}}|alum\w{{0,3}}"
        r"|grad student|student|professor)(?!\w)",
        0.75,
        lambda m: any(not is_vocabulary(word) for word in m["v"].lower().split()),
        digits=False,
    ),
    place_rule(
        "site-stay",
        r"\b(?:[Ss]tay(?:s|ed|ing)?|[Pp]arked|[Rr]oom|[Ll]odging|[Cc]hecked in(?:to)?|[Ss]hopping"
        r"|[Ww]orking out) at (?:the )?"
        r"(?P<v>[A-Z][\w'&\-]{1,20}(?: (?:[A-Z][\w'&\-]{1,20}|\d{1,3})){0,3})(?![\w'])",
        0.75,
        lambda m: m["v"].split()[0].lower() not in _NO_NAME,
        digits=False,
    ),
    place_rule(
        "town",
        rf"(?:\b(?:[Ii]n|[Ff]rom|[Oo]f|[Tt]o|[Nn]ear)|,) (?P<v>{_T}(?: {_T}){{0,2}}) (?=(?!MD|PA|MS|MT|PR|CT|OR"
        rf"|IN|ME|HI|DO)"
        rf"{STATE}(?![\w'/\-]))",
        0.86,
        digits=False,
    ),
    place_rule(
        "facility-of",
        r"\b(?:Urgent Care|Medical Center|Clinic|Hospice|Pediatrics|Orthop(?:a)?edics|Cardiology|Radiology|Surgeons"
        r"|Specialists|Associates|Dermatology|Physicians|Oncology|Imaging|Rehab\w{0,10}|Academy|Bank|Diocese|City"
        r"|Village"
        r"|Town|Villages) (?:of|at) (?:the )?[A-Z][\w']{2,20}(?: (?:and |of )?[A-Z][\w']{2,20}){0,3}",
        0.84,
        needs=(" of ", " at "),
        digits=False,
    ),
    place_rule(
        "street-named",
        rf"(?<![\w'])(?P<v>(?!The |A |On |At |In |No |See ){_T}(?: {_T})? (?:Ln|Rd|Ave|Hwy|Pkwy|Lane|Road)"
        rf"|\d{{1,3}}(?:st|nd|rd|th)"
        r" (?:Ave|Avenue|Street))\b(?! (?:[Tt]est|[Mm]ap))",
        0.8,
        lambda m: m["v"].split()[0].lower() not in _NO_NAME,
        needs=("ln", "rd", "ave", "hwy", "pkwy", "lane", "street"),
        digits=False,
    ),
    place_rule(
        "site-public",
        rf"\b(?:(?:by|via|per|with|from) (?:the )?(?P<v>{_T}(?: {_T})? (?:EMS|Ambulance|Fire|Rescue|PD|Police|Sheriff))"
        rf"|(?:at|to|from|[Aa]ttends|[Aa]ttended) (?P<state>{_T} State))(?![\w'])",
        0.8,
        lambda m: not {"local", "city", "county", "state", "the", "rural", "ground", "air"} & {m[0].lower().split()[1]},
        needs=("ems", "ambul", "fire", "rescue", "pd", "police", "sheriff", "state"),
        digits=False,
    ),
    Rule(
        "ward",
        Category.LOCATION,
        r"\b(?:cv|m|s|n|p|c|t|neuro)?icu-\d{1,3}(?!\w)",
        0.72,
        ("icu-",),
    ),
    Rule(
        "corner",
        Category.LOCATION,
        r"\b(?:hit|struck|crash|accident|mvc|mva|lives|fell|found) (?:at|near"
        r"|on) (?P<v>(?P<name>[a-z\d]{3,15}) (?:and|&)"
        r" \d{1,3}(?:st|nd|rd|th))(?!\w)",
        0.82,
        ("st", "nd", "rd", "th"),
        _no_digit_of_body,
    ),
    Rule(
        "road-mark",
        Category.LOCATION,
        r"\b(?:near|at|by|off|past|around|before) (?P<v>(?:exit|mile ?(?:marker|post)|mm) ?#?\d{1,3}[a-z]?)(?!\w)",
        0.8,
        ("exit", "mile", "mm"),
    ),
    Rule(
        "facility-lower",
        Category.LOCATION,
        rf"(?<!\w)(?:at|from|to|in|into|attends|@|goes to) (?P<v>(?P<name>[a-z][a-z'.\-]{{1,15}}(?: [a-z'\-]{{3,15}})"
        rf"{{0,2}}?) {_LOWER_KIND})(?! (?:grad|student|educat|diplom|level|course|meal|food|appoint|appt|visit"
        rf"|nurse|bed"
        r"|stay|care|placement|note|record|acquired|f/u|follow|potassium|dose|risk|grade))(?!\w)",
        0.78,
        check=_is_lower_name,
        digits=False,
    ),
    Rule(
        "ward",
        Category.LOCATION,
        r"\b(?:to|from|on|in|at|unit:?|floor:?|of|housing|pod|tier|block|cell) (?P<v>\d{1,2}[ -]?(?:north|south|east"
        r"|west|tower)(?: ?[a-d\d])?)\b"
        r"(?! (?:of|side|end|nile|coast|african|asian|indian|texas|virginia|carolina|dakota|korea))",
        0.72,
        ("north", "south", "east", "west", "tower"),
    ),
    Rule(
        "ward-bed",
        Category.LOCATION,
        r"\b(?:room|rm|icu|micu|sicu|unit|ed|ward|west|east|north|south|floor|\d{3,4}),? bed ?#? ?(?P<v>\d{1,3}[a-d]?"
        r"|[a-d])(?![\w%])",
        0.72,
        (" bed",),
    ),
    Rule(
        "medic-unit",
        Category.LOCATION,
        r"\b(?:ems|by|via|with) (?P<v>(?:medic|engine|ambulance|rescue|squad"
        r"|truck|ladder) \d{1,3})(?![\w.%])",
        0.72,
        ("medic", "engine", "ambul", "rescue", "squad", "truck", "ladder"),
    ),
)
