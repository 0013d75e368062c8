"""Methods for structured values: one row a value, and what each method tells of it."""

import json
from datetime import date

import pytest

from osler.deidentify.dates import days_of, secret_of, shifted
from osler.deidentify.engine_text import engine_by
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.deidentify.methods import CITATIONS, values_for
from osler.deidentify.text.profiles import METHODS, SHIFT_DAYS
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import ConfigError
from osler.standards.fhir import Resource, loads
from osler.standards.hl7v2 import parse

URN = "urn:uuid:0b5ff6a0-1111-4222-8333-444455556666"
SECRET = "2.25.1"
DAYS = days_of(SECRET)

# value, a year later (365 days from a day that is not in a leap year's February)
SHIFTED = [
    ("2023-03-01", "2024-02-29"),
    ("2023-03-01T10:11:12.5-05:00", "2024-02-29T10:11:12.5-05:00"),
    ("2023-03-01T10:11:12Z", "2024-02-29T10:11:12Z"),
    ("2023-03", "2024-03"),
    ("2023", "2024"),
    ("20230301", "20240229"),
    ("202303011011", "202402291011"),
    ("20230301101112.123-0500", "20240229101112.123-0500"),
    ("202303", "202403"),
    ("", ""),
    ("3/1/2023", ""),
    ("2023-02-30", ""),
    ("2023-03-01 Jane", ""),
    ("9999-12-31", ""),
    ("2023Jane", ""),
    ("2023-03-01T10:11:12Jane", ""),
]


@pytest.mark.parametrize(("value", "told"), SHIFTED)
def test_dates_keep_their_precision_time_and_zone(value: str, told: str) -> None:
    assert shifted(value, 365) == told


@pytest.mark.parametrize(
    ("method", "value", "told"),
    [
        ("safe-harbor", ("date", "2024-02-29"), "2024"),
        ("safe-harbor", ("instant", "2024-02-29T10:11:12Z"), ""),
        ("safe-harbor", ("birth", "1930-05-06"), ""),
        ("safe-harbor", ("city", "Tulsa"), ""),
        ("safe-harbor", ("postal", "74012-1234"), "740"),
        ("limited-data-set", ("date", "2024-02-29"), shifted("2024-02-29", DAYS)),
        ("limited-data-set", ("instant", "2024-02-29T10:11:12Z"), shifted("2024-02-29T10:11:12Z", DAYS)),
        ("limited-data-set", ("birth", "1930-05-06"), shifted("1930-05-06", DAYS)),
        ("limited-data-set", ("city", "Tulsa"), "Tulsa"),
        ("limited-data-set", ("city", "12 Elm St"), ""),
        ("limited-data-set", ("postal", "74012-1234"), "74012-1234"),
        ("limited-data-set", ("postal", "Jane"), ""),
        ("surrogates", ("date", "2024-02-29"), shifted("2024-02-29", DAYS)),
        ("surrogates", ("birth", "1930-05-06"), ""),
        ("surrogates", ("city", "Tulsa"), ""),
        ("surrogates", ("postal", "74012"), "740"),
    ],
)
def test_what_each_method_tells(method: str, value: tuple[str, str], told: str) -> None:
    kind, sent = value
    assert getattr(values_for(method, SECRET, this_year=2026), kind)(sent) == told


def test_without_a_patient_dates_go_to_the_year() -> None:
    assert values_for("limited-data-set", "", this_year=2026).date("2024-02-29") == "2024"


def test_a_shift_is_within_its_bounds_and_every_method_has_its_citation() -> None:
    pseudonyms = EphemeralPseudonyms()
    days = {-days_of(pseudonyms.uid(str(patient))) for patient in range(200)}
    assert SHIFT_DAYS[0] <= min(days) < max(days) <= SHIFT_DAYS[1]
    assert len(days) > 50
    assert tuple(CITATIONS) == METHODS
    with pytest.raises(ConfigError):
        values_for("hash", SECRET, this_year=2026)


def observation(patient: str) -> Resource:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "LDL"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2024-02-29T10:00:00-05:00",
        "issued": "2024-03-02T10:00:00Z",
        "note": [{"text": "Seen on 03/01/2024, well."}],
    }


def deidentifier(pseudonyms: EphemeralPseudonyms, method: str) -> FhirDeidentifier:
    return FhirDeidentifier(pseudonyms, text_for=engine_by(method), method=method)


def day(text: str) -> date:
    return date.fromisoformat(text[:10])


@pytest.mark.parametrize("method", ["limited-data-set", "surrogates"])
def test_structured_dates_and_those_in_text_move_together(method: str) -> None:
    pseudonyms = EphemeralPseudonyms()
    made = deidentifier(pseudonyms, method).resource(loads(json.dumps(observation("7"))))
    again = deidentifier(pseudonyms, method).resource(loads(json.dumps(observation("7") | {"status": "amended"})))
    assert made["effectiveDateTime"] == again["effectiveDateTime"]
    assert made["effectiveDateTime"][10:] == "T10:00:00-05:00"
    assert (day(made["issued"]) - day(made["effectiveDateTime"])).days == 2
    month, dom, year = made["note"][0]["text"].removeprefix("Seen on ").partition(",")[0].split("/")
    assert (date(int(year), int(month), int(dom)) - day(made["effectiveDateTime"])).days == 1
    assert {tag["display"] for tag in made["meta"]["tag"]} == {method}


def test_two_patients_of_a_bundle_have_two_shifts_and_a_patient_one_by_whatever_names_him() -> None:
    entries = [
        {
            "fullUrl": "urn:uuid:0b5ff6a0-1111-4222-8333-444455556666",
            "resource": {"resourceType": "Patient", "id": "7"},
        },
        {"resource": observation("7")},
        {"resource": observation("7") | {"subject": {"reference": URN}}},
        *({"resource": observation(str(other))} for other in range(100, 120)),
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    made = deidentifier(EphemeralPseudonyms(), "limited-data-set").resource(bundle)
    days = [entry["resource"]["effectiveDateTime"] for entry in made["entry"][1:]]
    assert days[0] == days[1]
    assert len(set(days)) > 10


def test_hl7_dates_of_a_patient_move_together_and_msh_8_names_the_method() -> None:
    pseudonyms = EphemeralPseudonyms()
    message = (
        "MSH|^~\\&|A|B|C|D|20240229||ADT^A01|1|P|2.5.1\rPID|1||7^^^H^MR||Doe^Jane||19310506|F|||1 Elm^^Tulsa^OK^74012\r"
        "PV1|1|I||||||||||||||||||||||||||||||||||||||||||202402291000|20240302\rNTE|1||Seen 03/01/2024 in Tulsa, OK\r"
    )
    engine = Hl7v2Deidentifier(pseudonyms, text_for=engine_by("limited-data-set"), method="limited-data-set")
    msh, pid, pv1, nte = parse(engine.message(message.encode())).segments
    days = days_of(pseudonyms.uid(secret_of(Identity(PseudonymKind.PATIENT, "7", "H")).value))
    assert (msh.field(7), msh.field(8)) == (shifted("20240229", days), "LIMITED-DATA-SET")
    assert (pid.field(7), pid.field(11)) == (shifted("19310506", days), "^^Tulsa^OK^74012")
    assert (pv1.field(44), pv1.field(45)) == (shifted("202402291000", days), shifted("20240302", days))
    assert "Tulsa, OK" in nte.field(3)
    assert "03/01/2024" not in nte.field(3)
