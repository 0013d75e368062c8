"""Hospitals, schools, employers: when one is named, it locates the person."""

import re
from collections.abc import Iterator
from typing import Final

from osler.deidentify.text.en.places import CAPITALISED, place_rule
from osler.deidentify.text.engine import Document
from osler.deidentify.text.spans import Category, Span

_MONTHS: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Spring|Summer|Fall|Winter|Autumn)"
_FACILITY: Final = (
    r"(?:Hospitals?|Hosp\b\.?|Medical (?:Center|Centre|Group|Clinic|Associates|Plaza|Campus)"
    r"|Med(?:ical)? C(?:en)?te?r|Health (?:Center|Centre|System|Care|Network|Services|Partners"
    r"|Campus)|"
    r"Healthcare(?: System| Center)?|Clinics?|Infirmary|Hospice|Nursing (?:Home|Center"
    r"|and Rehab\w*)|Rehab(?:ilitation)?(?: (?:Center|Hospital|Facility|Institute))?|"
    r"Care (?:Center|Centre|Home)|Surgery Center|Cancer (?:Center|Centre|Institute)"
    r"|Heart (?:Center|Institute)|Manor|Sanatorium|Assisted Living|Senior Living|"
    r"Retirement (?:Home|Community|Village)|Pharmacy|Family Practice|Family Medicine"
    r"|Pediatrics|Polyclinic|Institute|Dialysis(?: Center)?|Imaging(?: Center)?|VA(?:MC)?\b|SNF\b|ALF\b|ECF\b"
    r"|LTACH?\b|(?:Hospital|Oncology|Eye|Treatment|Wellness|Community|Trauma|Birth|Recovery|Pain|Spine|Endoscopy"
    r"|Wound|Surgical|Imaging|Medical)"
    r" C(?:ent(?:er|re)|tr\b\.?)|(?:Care|Health|Family|Primary) Ctr\b"
    r"|Langone|Hospice)"
)
_INSTITUTION: Final = (
    r"(?:University|College|(?:Elementary|Middle|High|Primary|Grammar|Secondary)(?: School)?"
    r"|School|Academy|Preschool|Daycare|Inc\b\.?|LLC|L\.L\.C\.|Corp(?:oration)?\b\.?|"
    r"Ltd\b\.?|Company|Church|Parish|Synagogue|Temple|Mosque|Library|Prison|Jail"
    r"|Correctional (?:Facility|Institution)|Shelter|Airport|Mall|Apartments|Towers|Estates"
    r"|Barracks|Air Force Base|Fort)"
)
_NAME_WORD: Final = r"(?:(?:[Ss][Tt]|[Mm][Tt]|Ft|Dr|Ste|U\.S|M\.D)\.|[A-Z\u00c0-\u00de][\w'&\-]{0,30})"
_BEFORE: Final = re.compile(
    rf"(?<![\w.])(?P<name>{_NAME_WORD}(?:[ \t]{{1,2}}(?:(?:of|the|and|de|la|&"
    rf"|-)[ \t]{{1,2}}){{0,2}}{_NAME_WORD}){{0,5}})[ \t]{{1,2}}(?:(?:of|and|&) )?$"
)
_AFTER: Final = re.compile(rf" (?:in|of|at) (?!{_MONTHS}){CAPITALISED}(?: {CAPITALISED})?")
_LEAD: Final = re.compile(
    r"(?:(?:from|at|to|in|and|with|admitted|transferred|discharged|seen|of|for|the|via|by|arrived|came|brought"
    r"|attends|resident)[ \t]{1,2}){1,4}(?=\S)",
    re.IGNORECASE,
)
_REACH: Final = 100
_DEPARTMENTS: Final = """
the a an our your this that his her local outside outlying another acute care primary urgent emergency general
surgery surgical medical medicine internal family pediatric pediatrics cardiac cardiology heart failure oncology
hematology pain wound diabetes diabetic endocrine endocrinology neurology neurosurgery orthopedic orthopaedic
ortho renal dialysis coumadin warfarin anticoagulation pacemaker device infusion memory sleep eye ent gi gu ob
gyn ob/gyn women's womens prenatal travel hepatology liver transplant transplantation pulmonary pulm
rheumatology dermatology psychiatric psychiatry mental behavioral health community skilled nursing rehab
rehabilitation physical therapy outpatient inpatient day home hospice long term long-term continuity resident
residency specialty walk-in walk high low risk hypertension lipid stroke tia epilepsy headache movement disorder
fracture hand foot spine breast chest vascular vein urology nephrology allergy immunology infectious disease id
hiv free-standing freestanding tertiary referring referral academic teaching university follow-up follow up f/u
preop pre-op pre dental dentistry fertility genetics geriatric geriatrics adult children's at in of for to from
with and transferred admitted discharged seen returned sent went call see pt patient critical labor delivery
trauma burn intensive icu ed er or pacu blood drug std hospital clinic center middle elementary school college
veterans no date on after before when if please continue status post hosp nearest any last next peds missed
"""
"""Words that make no certain facility: departments, and what a sentence begins with."""
GENERIC: Final = frozenset(_DEPARTMENTS.split())
_SYSTEMS: Final = (
    r"(?<![\w-])(?:UCSF|UCLA|UCSD|UCI|USC|NYU(?: Langone)?|MGH|BWH|BIDMC|CHOP|OHSU|UPMC|UAB|UNC|UVA"
    r"|UIC|UTSW|UTMB|MSKCC|MUSC|VUMC|CHLA|CHW|HUP|LAC\+USC|NYP|"
    r"Mayo(?! \d)|Johns? Hopkins|Hopkins|Kaiser(?: Permanente)?|Cedars?[- ]Sinai|(?:Mount|Mt\.?) Sinai"
    r"|Mass General|Massachusetts General|Brigham(?: and Women's)?|"
    r"Beth Israel(?: Deaconess)?|Sloan[- ]Kettering|MD Anderson|Montefiore|Cleveland Clinic"
    r"|Mayo Clinic|NewYork-Presbyterian|NY Presbyterian|Presbyterian|Geisinger|"
    r"Intermountain|Sutter|Providence|Ascension|Banner|Baylor|Emory|Barnes[- ]Jewish|Sentara"
    r"|Northwell|Stanford|Bellevue|Walter Reed|Bumrungrad|Lahey|Tufts|Duke|Yale|Vanderbilt|CVS|Walgreens|Walmart"
    r"|Rite Aid|Costco|Kroger|Ochsner|OCHSNER|MAYO|KAISER|STANFORD|CEDARS[- ]SINAI|MOUNT SINAI|JOHNS HOPKINS|BAYLOR"
    r"|GEISINGER|INTERMOUNTAIN|EMORY|DUKE|VANDERBILT|NORTHWELL|CLEVELAND CLINIC|SUTTER|ASCENSION|SENTARA|TUFTS|YALE)\b"
    r"(?![- ](?:possible|definite|rejected|minor|major|CRITERIA|SCORE|CLASS|STAND|[IV]|\d|criteria|classification"
    r"|score|scale|index|stand|treadmill|protocol|activity|swallow|Swallow|Verbal"
    r"|forms?\b|assessment|rating"
    r"|treatment|pouch|virus|syndrome|elliptic|clip|brace|x\b))"
)


def _names_a_place(match: re.Match[str]) -> bool:
    words = re.findall(r"[\w'/+\-]+", match["name"].lower())
    return any(word not in GENERIC for word in words)


RULES: Final = (
    place_rule(
        "facility",
        r"\b(?:General|Memorial|Children's|City|County|Regional|Methodist|Baptist"
        r"|Veterans) Hospital(?:[ ,]{1,2}(?!January|February|March|April|May|June|July|August"
        r"|September|October|November|December|On|In|She|He"
        r"|The)[A-Z][a-z]{3,14}(?: [A-Z][a-z]{3,14})?)?",
        0.85,
        needs=("hospital",),
        digits=False,
    ),
    place_rule(
        "facility",
        rf"\b(?:[Aa]t|[Tt]o|[Ff]rom|[Ii]n|[Vv]ia) (?:the )?(?P<v>(?P<name>{CAPITALISED}"
        rf"(?: {CAPITALISED}){{0,2}}) (?:General|Memorial|Health|HealthCenter|Med|Methodist|Baptist"
        rf"|Presbyterian|Regional|Mercy|Lutheran|Adventist|Jewish|Kettering|Children's|Hosp"
        rf"|Baylor Scott & White|& (?:White|Women's)))\b",
        0.82,
        _names_a_place,
        digits=False,
    ),
    place_rule(
        "facility-of",
        r"\b(?:Hospital|University|College|Church|Institute|School|Children's Hospital) (?:of"
        r"|for) (?:the )?(?:[A-Z][\w']{2,20}(?: (?:and |of )?[A-Z][\w']{2,20}){0,3})",
        0.88,
        needs=(" of ", " for "),
        digits=False,
    ),
    place_rule(
        "facility-saint",
        r"\b(?:St\.?|Saint|SAINT|ST\.) [A-Z][a-z]{2,14}(?:'s|s'|s)?(?= (?:ED|ER|ICU|on|in|for"
        r"|yesterday|and)\b|[,.;?)]|'s|$)|\b(?:St\.?|Saint) [A-Z][a-z]{2,14}'s\b",
        0.85,
        digits=False,
    ),
    place_rule(
        "facility",
        rf"\b(?P<v>(?P<name>{CAPITALISED}) (?:General|Memorial|Regional|Methodist|Presbyterian))"
        r"(?=  |\t| ?->|[,.;)\n]|$)",
        0.8,
        _names_a_place,
        needs=("general", "memorial", "regional", "methodist", "presby"),
        digits=False,
    ),
    place_rule("facility-system", _SYSTEMS, 0.995, digits=False),
    place_rule(
        "employer",
        rf"\b(?:(?i:(?:works?|worked|working|employed|employee|job|retired|teaches|volunteers|engineer|teacher|nurse"
        rf"|driver|manager|student"
        rf"|professor|officer|clerk|cook|mechanic|accountant|cashier|janitor|supervisor|technician|analyst) (?:at"
        rf"|for|by|with|from)|employer:?)) (?:the )?(?P<v>{CAPITALISED}(?:(?: &)? (?<!\. ){CAPITALISED}){{0,3}})",
        0.8,
        needs=("work", "employ", "job", "retired", "teach", "volunteer", " at "),
        digits=False,
    ),
)
_KINDS: Final = (
    (re.compile(rf"\b(?=[a-z][a-z.]){_FACILITY.lower()}(?!\w)"), "facility", 0.97),
    (re.compile(rf"\b(?=[a-z][a-z.]){_INSTITUTION.lower()}(?!\w)"), "institution", 0.9),
)


class Facilities:
    """Finds a word such as Hospital, and takes the capitalised words before it that make it a certain one."""

    def spans(self, document: Document) -> Iterator[Span]:
        """Return facilities and institutions."""
        text = document.shadow.text
        for pattern, rule, score in _KINDS:
            for kind in pattern.finditer(document.shadow.lower):
                if not text[kind.start()].isupper():
                    continue
                name = _BEFORE.search(text, max(0, kind.start() - _REACH), kind.start())
                if name and _names_a_place(name):
                    after = _AFTER.match(text, kind.end())
                    lead = _LEAD.match(text, name.start(), name.end())
                    start = lead.end() if lead else name.start()
                    yield Span(start, after.end() if after else kind.end(), Category.LOCATION, score, rule)
