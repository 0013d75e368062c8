"""Identifiers that their place or the form around them tells, and innocent texts of the same form."""

import pytest

from osler.deidentify.text import Deidentifier
from osler.deidentify.text.spans import Category


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    """Return one engine for all."""
    return Deidentifier()


@pytest.mark.parametrize(
    ("text", "value", "category"),
    [
        ("name,mrn,dob,a1c\nOkoro,220145,1950-02-03,7.1\n", "220145", Category.MRN),
        ("bed | name | age | dx\n4 | Okoro | 96 | UTI\n", "96", Category.AGE),
        ("NK1|1|ROSS^ANNA|SPO|12 ELM^^TROY^NY^12180|5185550133", "12180", Category.LOCATION),
        ("IN1|1|PPO|0042|HEALTHCO||||77-3310-C", "77-3310-C", Category.HEALTH_PLAN),
        ("DOB 1 1 / 0 4 / 1 9 6 2.", "1 1 / 0 4 / 1 9 6 2", Category.DATE),
        ("SSN 4 1 2 - 3 3 - 9 8 7 6.", "4 1 2 - 3 3 - 9 8 7 6", Category.SSN),
        ("Colonoscopy sched for 9/27.", "9/27", Category.DATE),
        ("She will be ninety-four in June.", "ninety-four", Category.AGE),
        ("policy number b as in bravo, 9 9 2 1 4.", "b as in bravo, 9 9 2 1 4", Category.HEALTH_PLAN),
        ("He drives a Honda 4KRT882.", "4KRT882", Category.VEHICLE),
        ("Sensor 3MH91KQ replaced.", "3MH91KQ", Category.DEVICE),
        ("[09:12] Anneke: ok", "Anneke", Category.NAME),
    ],
)
def test_the_place_of_a_value_tells_its_kind(engine: Deidentifier, text: str, value: str, category: Category) -> None:
    start = text.index(value)
    over = [s for s in engine.spans(text) if s.start <= start and s.end >= start + len(value)]
    assert [s.category for s in over] == [category]


@pytest.mark.parametrize(
    "text",
    [
        "Strength 4/5, reflexes 2/4, pain 3/10, visual acuity 10/20.",
        "Lotrel 10/20, given. HR 110 -> 95. Temp (99F).",
        "drug | dose | route\nmetoprolol | 25 mg | oral\n",
        "MR: 30 mL. At Erb's point a murmur. On the 12th rib.",
        "A B C D assessed. pt Ambulated. Baby Aspirin daily.",
    ],
)
def test_innocent_texts_of_the_same_form_stay(engine: Deidentifier, text: str) -> None:
    assert engine.spans(text) == []


def test_a_patients_own_key_shifts_alike_whatever_the_context_tells() -> None:
    engine = Deidentifier(method="limited-data-set")
    texts = {
        engine.for_patient({"name": name}, key=b"k" * 32).deidentify("Seen 3/14/2021.").text for name in ("Ann", "Bo")
    }
    assert len(texts) == 1
    assert texts != {"Seen 3/14/2021."}


@pytest.mark.parametrize("system", [[], {}, 7, None])
def test_a_system_that_is_no_string_is_passed_over(system: object) -> None:
    context = {"telecom": [{"system": system, "value": "413-555-0142"}], "type": {"coding": ["MR", {"code": []}]}}
    assert "0142" not in Deidentifier(context=context).deidentify("Call 413-555-0142.").text
