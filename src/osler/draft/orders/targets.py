"""What is ordered: tests, procedures, drugs and specialties in a sentence, each as the sentence calls it."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from osler.clinical.drugs import drugs_in
from osler.clinical.lexicon import Kind, lexicon
from osler.domain.orders import OrderKind

_SPECIALTIES: Final = re.compile(
    r"\b(?:(?:pediatric|paediatric|vascular|general|orthopa?edic|plastic|hand|spine|pain|wound|sleep|"
    r"breast|eye|weight|weight\s+loss|"
    r"diabetes|genetic|social|behavioral|mental|primary|ear,?\s+nose,?\s+and)\s+)?"
    r"(?:[a-z]{3,}ologists?|(?:cardi|neur|ur|nephr|dermat|gastroenter|endocrin|pulmon|rheumat|hemat|"
    r"haemat|onc|ophthalm|gynec|immun|audi|"
    r"psych|radi)ology|psychiatr(?:y|ist)|podiatr(?:y|ist)|orthop(?:a?edics|a?edist)|allergist|ent|"
    r"nutrition(?:ist)?|dieti[ct]ian|"
    r"surge(?:ons?|ry)|pain\s+management|(?:pain|wound|sleep)\s+clinic|therapist|counselor|"
    r"specialists?|social\s+work(?:er)?|geneticist|"
    r"genetics|genetic\s+counsel(?:ing|or)|weight\s+management|sleep\s+medicine|"
    r"infectious\s+diseases?|optometrist|dentist|ob[ /-]?gyn|"
    r"hospice|palliative\s+care|physical\s+therap(?:y|ist)|occupational\s+therap(?:y|ist)|"
    r"speech\s+therap(?:y|ist)|cardiac\s+rehab|"
    r"pulmonary\s+rehab|physiotherap(?:y|ist)|(?:diabetes|mental\s+health|"
    r"behavioral\s+health)(?:\s+(?:educator|education|clinic))?|"
    r"care\s+manager|urogyn\w+|neurosurge(?:ry|on))\b",
    re.IGNORECASE,
)
_ASKED: Final = re.compile(r"\s*(?:consult(?:ation)?|referral|evaluation|appointment)s?\b", re.IGNORECASE)
_PERSON: Final = re.compile(
    r"(?:(?<=to\s)|(?<=with\s)|(?<=by\s)|(?<=see\s))(?:Dr\.?\s+(?:[A-Z][\w'-]+|\[NAME-\d+\])|\[NAME-\d+\])"
)
_MODIFIERS: Final = frozenset(
    """
    left right bilateral upper lower quadrant lateral medial anterior posterior proximal distal renal arterial artery
    venous vein hepatic liver cardiac carotid coronary aortic thoracic sacral spinal spine transvaginal
    scrotal testicular
    obstetric diagnostic screening fasting random non-fasting repeat follow-up followup complete limited dedicated
    urgent stat routine annual yearly weekly basic full comprehensive nuclear exercise treadmill transthoracic
    transesophageal
    dobutamine chemical 24-hour 48-hour 2-view 3-view plain open endoscopic laparoscopic epidural steroid cortisone
    corticosteroid trigger point nerve root block c7-t1 skin needle fine aspiration punch excisional core outpatient
    inpatient home genetic counseling aquatic vestibular pelvic wrist thumb finger straight leg long short arm air cam
    hinged compression knee-high abdominal abdomen-pelvis chest brain head neck spine sinus soft tissue bone marrow
    diabetic peripheral lower-extremity upper-extremity extremity lab laboratory custom mri-guided ultrasound-guided
    influenza pneumococcal shingles tetanus hepatitis b
    """.split()  # noqa: SIM905
)
_OF: Final = re.compile(
    r"\s+(?:of|to|on|in|into|for)\s+(?:the\s+|your\s+|his\s+|her\s+|their\s+|both\s+|that\s+|"
    r"a\s+)?((?:[A-Za-z-]+)(?:\s+(?!(?:to|and|for|in|on|to)\b)[A-Za-z-]+){0,3}"
    r"(?:\s+and\s+pelvis)?)",
    re.IGNORECASE,
)
_CONTRAST: Final = re.compile(
    r"\s+(?:with\s+and\s+without|without|with)\s+(?:iv\s+|any\s+)?contrast\b",
    re.IGNORECASE,
)
_AREAS: Final = frozenset(
    [
        "spine",
        "lumbar",
        "cervical",
        "thoracic",
        "brain",
        "chest",
        "abdomen",
        "pelvis",
        "neck",
        "head",
        "joint",
        "knees",
        "hips",
        "side",
        "body",
        "quadrant",
    ]
)
_WORD_BEFORE: Final = re.compile(r"([A-Za-z0-9][\w-]*),?\s+$")
_SIDE: Final = re.compile(r"\b(left|right|both|bilateral(?:ly)?)\b", re.IGNORECASE)
_NOT_DRUG_AFTER: Final = re.compile(
    r"\s*(?:levels?|tests?|titers?|toxicity|deficiency|allergy|clinic|screen(?:ing)?|pump|regimen|"
    r"use)\b",
    re.IGNORECASE,
)
_LONGEST_NAME: Final = 5


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be ordered.

    Parameters
    ----------
    kind : OrderKind
    start, end : int
        Place in the text, end exclusive.
    name : str
        As the text calls it.
    concept : str
        What it is, the same for all its names.
    """

    kind: OrderKind
    start: int
    end: int
    name: str
    concept: str

    @property
    def side(self) -> str:
        """The side that its name says."""
        found = {match[1].lower() for match in _SIDE.finditer(self.name)}
        if len(found) > 1 or found & {"both", "bilateral", "bilaterally"}:
            return "both"
        return found.pop() if found else ""


@cache
def _orderables() -> tuple[re.Pattern[str], dict[str, tuple[OrderKind, str]]]:
    """Return what finds the names of tests and procedures, and what each is."""
    known: dict[str, tuple[OrderKind, str]] = {}
    text = files("osler.draft.data").joinpath("orderables.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        names = row["names"].split("|")
        for name in names:
            known[name] = (OrderKind(row["kind"]), names[0])
    longest_first = "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in sorted(known, key=len, reverse=True))
    return re.compile(rf"\b({longest_first})(?:s|es|ies)?\b", re.IGNORECASE), known


def targets(text: str) -> tuple[Target, ...]:
    """Return what a text names that can be ordered, in order, none overlapping another."""
    found = [*_specialties(text), *_tests(text), *_drugs(text)]
    kept: list[Target] = []
    for one in sorted(found, key=lambda target: (target.start, -target.end)):
        if kept and one.start < kept[-1].end:
            continue
        kept.append(one)
    return tuple(kept)


def _tests(text: str) -> Iterator[Target]:
    pattern, known = _orderables()
    for match in pattern.finditer(text):
        kind, concept = known[" ".join(match[1].lower().split())]
        start, end = _from(text, match.start()), _to(text, match.end())
        yield Target(kind, start, end, " ".join(text[start:end].split()), concept)


def _specialties(text: str) -> Iterator[Target]:
    for pattern in (_SPECIALTIES, _PERSON):
        for match in pattern.finditer(text):
            asked = _ASKED.match(text, match.end())
            name = " ".join(match[0].split())
            yield Target(OrderKind.REFERRAL, match.start(), asked.end() if asked else match.end(), name, name.lower())


def _drugs(text: str) -> Iterator[Target]:
    for drug in drugs_in(text, lexicon()):
        if not drug.is_class and not _NOT_DRUG_AFTER.match(text, drug.end):
            yield Target(OrderKind.MEDICATION, drug.start, drug.end, text[drug.start : drug.end], drug.name)


def _from(text: str, start: int) -> int:
    """Go back over the words that say more of a test: "a right upper quadrant ultrasound"."""
    for _ in range(_LONGEST_NAME):
        match = _WORD_BEFORE.search(text[:start])
        if match is None or "," in match[0] or not _says_more(match[1].lower()):
            return start
        start = match.start()
    return start


def _to(text: str, end: int) -> int:
    """Go on over where: "MRI of the lumbar spine", "CT scan without contrast"."""
    for _ in range(2):
        contrast = _CONTRAST.match(text, end)
        end = contrast.end() if contrast else end
        where = _OF.match(text, end)
        if where is None:
            return end
        words = list(re.finditer(r"[A-Za-z-]+", where[1]))
        places = [n for n, word in enumerate(words) if _is_place(word[0].lower())]
        if not places or not all(
            _says_more(word[0].lower()) or word[0].lower() in ("and",) for word in words[: places[-1]]
        ):
            return end
        end = where.start(1) + words[places[-1]].end()
    return end


def _says_more(word: str) -> bool:
    return word in _MODIFIERS or _is_place(word)


def _is_place(word: str) -> bool:
    if word in _AREAS:
        return True
    concept = lexicon().concept(word)
    return concept is not None and concept.kind is Kind.SITE and word != "back"
