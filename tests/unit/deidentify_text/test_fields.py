"""Places that a form, a business or a road gives away, and the innocent texts of the same form."""

import pytest

from osler.deidentify.text import Category, Deidentifier

ENGINE = Deidentifier()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Employer:\tBluestem Grain Elevator\tOccupation:\tloader", "Bluestem Grain Elevator"),
        ("ADDR: PO BOX 331\nCITY/ST: DRY CREEK WY", "DRY CREEK"),
        ("Living situation: Samaritan Inn\nDiet: regular", "Samaritan Inn"),
        ("Unit/Bed: 7 West/712-B", "7 West/712-B"),
        ("She lives over in Maple Hollow with her son", "Maple Hollow"),
        ("Found down behind the Kwik Trip this morning", "Kwik Trip"),
        ("Worked for Hormel plant until last year", "Hormel plant"),
        ("report called to golden oaks snf, family aware", "golden oaks snf"),
        ("seen at 1200 S Lamar, then left", "1200 S Lamar"),
        ("deer strike on county road 12 near the bridge", "county road 12"),
        ("Transferred to 4NE overnight", "4NE"),
    ],
)
def test_a_place_goes(text: str, place: str) -> None:
    start = text.index(place)
    covered = {i for span in ENGINE.spans(text) for i in range(span.start, span.end)}
    assert all(i in covered for i, c in enumerate(text) if start <= i < start + len(place) and c.isalnum())


@pytest.mark.parametrize(
    ("text", "value", "category"),
    [
        ("SSN412-88-9904DOB04/02/1951", "412-88-9904", Category.SSN),
        ("SS: xxx-xx-9904", "9904", Category.SSN),
        ("last 4 of social 9904", "9904", Category.SSN),
        ("email mk.obrien+ehr at gmail dot com", "mk.obrien+ehr at gmail dot com", Category.EMAIL),
        ("wk 414.555.0133x22", "414.555.0133x22", Category.PHONE),
        ("truck (plates 7A44 982) left", "7A44 982", Category.VEHICLE),
        ("face recognition hash 9f8a77c1d2", "9f8a77c1d2", Category.BIOMETRIC),
        ("shown DL D448-2201-9934 at desk", "D448-2201-9934", Category.LICENSE),
        ("Plan: Cigna OAP, member U44128820 01", "U44128820 01", Category.HEALTH_PLAN),
        ("specimen 24:MC0118R received", "24:MC0118R", Category.OTHER_ID),
    ],
)
def test_a_number_goes_whole_and_by_its_kind(text: str, value: str, category: Category) -> None:
    start = text.index(value)
    assert any(s.start <= start and s.end >= start + len(value) and s.category is category for s in ENGINE.spans(text))


@pytest.mark.parametrize(
    "text",
    [
        "Location: left knee. Site: RLQ. Facility: n/a",
        "Employer: none\nSchool: n/a\nAddress: homeless\nCity: unknown",
        "Alert and oriented. GAD-7 12/21. PHQ-9 8/27.",
        "Transferred from the floor to acute rehab; seen at pain clinic.",
        "Plates and screws in the left tibia; plate 3.5 mm, 6 holes.",
        "Unit: mg/dL. Loc: LUQ. Station: -2/80/4.",
    ],
)
def test_innocent_forms_stay(text: str) -> None:
    assert [text[s.start : s.end] for s in ENGINE.spans(text)] == []
