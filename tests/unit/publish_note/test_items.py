"""Structured items in the sentences of a note: what is found, and all that is rather not."""

import pytest

from note_examples import LEXICON, note, said, section
from osler.clinical.lexicon import lexicon
from osler.domain.codes import Code
from osler.domain.note import CodeSuggestion, Topic
from osler.publish.note.allergies import allergies
from osler.publish.note.items import Dose, Timing, problems
from osler.publish.note.medications import medications
from osler.publish.note.vital_signs import vital_signs


def of(text: str, topic: Topic) -> object:
    return note(sections=(section(said(text, topic)),))


def figures(text: str, topic: Topic = Topic.VITALS) -> list[tuple[str, ...]]:
    found = vital_signs(of(text, topic))  # type: ignore[arg-type]
    return [(item.codes[0].value, *(f"{m.value} {m.ucum}" for m in item.measures)) for item in found]


# ------------------------------------------------------------------------------------------------ vital signs


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Blood pressure 128/82.", [("85354-9", "128 mm[Hg]", "82 mm[Hg]")]),
        ("Her blood pressure was 128 over 82 today", [("85354-9", "128 mm[Hg]", "82 mm[Hg]")]),
        ("BP: 90 / 60", [("85354-9", "90 mm[Hg]", "60 mm[Hg]")]),
        ("Heart rate is 72", [("8867-4", "72 /min")]),
        ("Pulse of 104, regular", [("8867-4", "104 /min")]),
        ("Temp 98.6", [("8310-5", "98.6 [degF]")]),
        ("Temperature is 98.60 degrees Fahrenheit", [("8310-5", "98.60 [degF]")]),
        ("temperature 38.2 C", [("8310-5", "38.2 Cel")]),
        ("Respiratory rate 16", [("9279-1", "16 /min")]),
        ("SpO2 98%", [("59408-5", "98 %")]),
        ("Oxygen saturation is 94 percent on room air", [("59408-5", "94 %")]),
        ("Weight 180 pounds", [("29463-7", "180 [lb_av]")]),
        ("Weighs 81.5 kg", [("29463-7", "81.5 kg")]),
        ("Height: 178 cm", [("8302-2", "178 cm")]),
        ("BP 128/82, pulse 72 and temp 98.6.", [
            ("85354-9", "128 mm[Hg]", "82 mm[Hg]"), ("8867-4", "72 /min"), ("8310-5", "98.6 [degF]")]),
        ("Blood pressure 150/90. Blood pressure 128/82.", [("85354-9", "150 mm[Hg]", "90 mm[Hg]")]),
    ],
)  # fmt: skip
def test_a_vital_sign_keeps_its_digits(text: str, found: list[tuple[str, ...]]) -> None:
    assert figures(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Goal blood pressure 130/80.",
        "Blood pressure at home is 128/82.",
        "Blood pressure was 160/90 last week.",
        "Keep blood pressure below 130/80.",
        "Blood pressure usually runs 128/82.",
        "Blood pressure 128/82 to 140/90.",
        "Blood pressure 82/128.",
        "Blood pressure 400/20.",
        "Heart rate 16 to 20.",
        "Heart rate 720.",
        "Heart rate: 60s",
        "Blood pressure 120/80s",
        "Blood pressure 120s/80s",
        "Temperature 70.",
        "Temperature 41.5 F",
        "Oxygen saturation 30%.",
        "Oxygen saturation 98.",
        "Oxygen 60%.",
        "Weight 180.",
        "Lost weight 10 pounds.",
        "Height 6.",
        "Her mother's blood pressure is 150/90.",
        "If temperature is 101, call.",
        "24 hr 72",
        "Pulse ox is fine, 72 h",
    ],
)
def test_no_vital_sign(text: str) -> None:
    assert figures(text) == []


@pytest.mark.parametrize("topic", [Topic.HISTORY, Topic.PLAN, Topic.ASSESSMENT])
def test_vital_signs_are_read_where_measurements_stand(topic: Topic) -> None:
    assert figures("Blood pressure 128/82.", topic) == []
    assert figures("Blood pressure 128/82.", Topic.EXAM) != []


def test_a_pulse_oximetry_has_both_codes() -> None:
    (item,) = vital_signs(of("SpO2 98%", Topic.VITALS))  # type: ignore[arg-type]

    assert [code.value for code in item.codes] == ["59408-5", "2708-6"]


# ------------------------------------------------------------------------------------------------ medications


def taken(text: str, topic: Topic = Topic.MEDICATIONS) -> list[tuple[object, ...]]:
    found = medications(of(text, topic), LEXICON)  # type: ignore[arg-type]
    return [(m.name, m.instructions, m.dose, m.timing, m.as_needed) for m in found]


MG = Dose("500", "mg", "mg")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Metformin 500 mg twice a day.", [("metformin", "500 mg twice a day", MG, Timing(2, 1, "d"), False)]),
        ("Takes metformin 500 milligrams bid", [("metformin", "500 milligrams bid", MG, Timing(2, 1, "d"), False)]),
        ("On lisinopril 2.5 mg daily", [
            ("lisinopril", "2.5 mg daily", Dose("2.5", "mg", "mg"), Timing(1, 1, "d"), False)]),
        ("Albuterol 2 puffs every 4 hours as needed", [
            ("albuterol", "2 puffs every 4 hours as needed", Dose("2", "puff", "{puff}"), Timing(1, 4, "h"), True)]),
        ("Metformin 500 mg twice daily and lisinopril 10 mg every other day", [
            ("metformin", "500 mg twice daily", MG, Timing(2, 1, "d"), False),
            ("lisinopril", "10 mg every other day", Dose("10", "mg", "mg"), Timing(1, 2, "d"), False)]),
        ("Insulin glargine 20 units at bedtime", [
            ("insulin glargine", "20 units at bedtime", Dose("20", "units", "[iU]"), Timing(1, 1, "d"), False)]),
        ("Ventolin 2 puffs prn. Albuterol 2 puffs.", [
            ("ventolin", "2 puffs prn", Dose("2", "puff", "{puff}"), None, True)]),
        ("Cough syrup.", []),
        ("Metformin 500 mg a day", [("metformin", "500 mg a day", MG, Timing(1, 1, "d"), False)]),
        ("Metformin 500 mg 3 times daily", [("metformin", "500 mg 3 times daily", MG, Timing(3, 1, "d"), False)]),
        ("Metformin 500 mg nine times daily", [("metformin", "500 mg", MG, None, False)]),
        ("Lisinopril.", [("lisinopril", "", None, None, False)]),
        ("Metformin 500 mg in the morning, 1000 mg at night", [("metformin", "", None, None, False)]),
        ("Metformin 500 mg daily; metformin 850 mg daily", [("metformin", "", None, None, False)]),
    ],
)  # fmt: skip
def test_medication(text: str, found: list[tuple[object, ...]]) -> None:
    assert taken(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Not taking metformin.",
        "Stopped metformin last year.",
        "Metformin was discontinued.",
        "Start metformin 500 mg daily.",
        "Plan to increase metformin.",
        "Her mother takes metformin.",
        "Doesn't take metformin.",
        "Used to take metformin",
        "Metformin?",
        "Ran out of metformin.",
        "Takes vitamins.",
        "Uses an inhaler and painkillers.",
        "Initiate lisinopril 10 mg daily.",
        "Prescription of lisinopril 10 mg provided.",
        "Ibuprofen causes itching.",
        "Allergic to penicillin.",
    ],
)
def test_no_medication(text: str) -> None:
    assert taken(text) == []


@pytest.mark.parametrize("topic", [Topic.PLAN, Topic.HISTORY])
def test_an_order_is_no_medication_that_is_taken(topic: Topic) -> None:
    assert taken("Metformin 500 mg daily.", topic) == []


def test_a_class_of_drugs_in_the_lexicon_is_no_medication() -> None:
    one = of("Takes a statin, antibiotics, an inhaler, pain medication, vitamins and steroids", Topic.MEDICATIONS)

    assert medications(one, lexicon()) == ()  # type: ignore[arg-type]


def test_the_lexicon_that_comes_with_the_package() -> None:
    one = of("Tylenol 500 mg as needed and hydrochlorothiazide 25 mg daily", Topic.MEDICATIONS)

    assert [m.name for m in medications(one, lexicon())] == ["tylenol", "hydrochlorothiazide"]  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ allergies


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Allergic to penicillin.", [("penicillin", "medication", ())]),
        ("Allergic to penicillin, which gives hives.", [("penicillin", "medication", ("hives",))]),
        ("Penicillin allergy (rash).", [("penicillin", "medication", ("rash",))]),
        ("Allergies: penicillin and latex.", [("penicillin", "medication", ()), ("latex", "environment", ())]),
        ("Allergy to peanuts with anaphylaxis", [("peanuts", "food", ("anaphylaxis",))]),
        ("No fever; allergic to penicillin", [("penicillin", "medication", ())]),
    ],
)
def test_allergy(text: str, found: list[tuple[object, ...]]) -> None:
    made = allergies(of(text, Topic.ALLERGIES), LEXICON)  # type: ignore[arg-type]

    assert [(a.substance, a.category, a.reactions) for a in made] == found


@pytest.mark.parametrize(
    "text",
    [
        "No known drug allergies.",
        "NKDA",
        "Denies allergy to penicillin.",
        "Her son is allergic to penicillin.",
        "May be allergic to penicillin.",
        "Allergic to something.",
        "Takes ibuprofen for seasonal allergies.",
        "Penicillin was well tolerated.",
        "Outgrew an allergy to milk.",
    ],
)
def test_no_allergy(text: str) -> None:
    assert allergies(of(text, Topic.ALLERGIES), LEXICON) == ()  # type: ignore[arg-type]


def test_which_of_two_substances_gave_the_rash_is_not_guessed() -> None:
    made = allergies(of("Allergic to penicillin and latex, gets a rash", Topic.ALLERGIES), LEXICON)  # type: ignore[arg-type]

    assert [a.reactions for a in made] == [(), ()]


# ------------------------------------------------------------------------------------------------ problems


def suggested(code: str, statement: str, display: str = "Pneumonia, unspecified organism") -> CodeSuggestion:
    return CodeSuggestion("http://hl7.org/fhir/sid/icd-10-cm", code, display, statement)


def test_what_the_assessment_says_is_a_problem_without_a_code_where_nobody_accepted_one() -> None:
    one = note(
        sections=(
            section(said("Fever since Monday.")),
            section(
                said("I think this is acute bronchitis.", Topic.DIAGNOSIS, id="s2"),
                said("Essential hypertension.", Topic.ASSESSMENT, id="s3"),
                said("Gout.", Topic.ASSESSMENT, id="s4", edited=True),
            ),
        )
    )
    left = [suggested("R50.9", "s1", "Fever"), suggested("J20.9", "s2", "Acute bronchitis"), suggested("M10.9", "s4")]

    found = problems(one, [suggested("I10", "s3", "Essential hypertension")], [*left, suggested("I11.9", "s3")])

    assert [(p.statement, p.text, p.certain, [c.value for c in p.codes]) for p in found] == [
        ("s3", "Essential hypertension", True, ["I10"]),
        ("s2", "Acute bronchitis", False, []),
    ]


def test_headings_of_the_plan_and_accepted_codes_are_problems() -> None:
    one = note()

    found = problems(one, [suggested("E11.9", "s6", "Type 2 diabetes without complications")])

    assert [(p.text, p.certain, [c.value for c in p.codes]) for p in found] == [
        ("Type 2 diabetes", True, ["E11.9"]),
        ("Possible pneumonia", False, []),
    ]


def test_a_code_of_a_supposition_is_not_certain() -> None:
    one = note(sections=(section(said("This may be pneumonia.", Topic.ASSESSMENT)),))

    (found,) = problems(one, [suggested("J18.9", "s1"), suggested("J18.9", "s1")])

    assert (found.text, found.certain) == ("Pneumonia, unspecified organism", False)
    assert found.codes == (Code("J18.9", "ICD10CM", "Pneumonia, unspecified organism"),)


def test_a_code_of_a_statement_that_is_not_published_is_left_out() -> None:
    assert problems(note(sections=(section(said("Words.")),)), [suggested("J18.9", "s9")]) == ()
