"""Codes that a note suggests."""

import warnings

import pytest

from osler.domain.note import (
    Checked,
    Draft,
    DraftAuthor,
    Evidence,
    Section,
    Severity,
    Statement,
    Support,
    Topic,
    Verdict,
)
from osler.draft.coding import SYSTEM, read_table, suggest_codes


def checked(
    *said: str, topic: Topic = Topic.ASSESSMENT, failed: frozenset[str] = frozenset(), refusal: str = ""
) -> Checked:
    statements = tuple(Statement(f"s{n}", text, (Evidence(n, text),), topic) for n, text in enumerate(said, 1))
    draft = Draft("soap", (Section("a", "A", "51848-0", statements),), DraftAuthor("extractive", "x", "1"))
    good, bad = Verdict(Support.DIRECT, Severity.NONE), Verdict(Support.UNMENTIONED, Severity.MAJOR, ("no-evidence",))
    return Checked(draft, {one.id: bad if one.id in failed else good for one in statements}, (), refusal)


def codes(*said: str, topic: Topic = Topic.ASSESSMENT) -> list[str]:
    return [one.code for one in suggest_codes(checked(*said, topic=topic))]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Hypertension, well controlled.", ["I10"]),
        ("The patient has high blood pressure.", ["I10"]),
        ("1. Hypertension. 2. Type 2 diabetes mellitus.", ["I10", "E11.9"]),
        ("Type II diabetes and hyperlipidemia.", ["E11.9", "E78.5"]),
        ("Type 1 diabetes mellitus.", ["E10.9"]),
        ("Type 2 diabetes with hyperglycemia.", ["E11.65"]),
        ("Acute exacerbation of COPD.", ["J44.1"]),
        ("Stage 3a chronic kidney disease.", ["N18.31"]),
        ("Right knee pain.", ["M25.561"]),
        ("Pain in the left knee.", ["M25.562"]),
        ("Chronic left shoulder pain.", ["M25.512"]),
        ("Primary osteoarthritis of the right knee.", ["M17.11"]),
        ("Bilateral knee osteoarthritis.", ["M17.0"]),
        ("Carpal tunnel syndrome on the right.", ["G56.01"]),
        ("Right knee pain and left hip pain.", ["M25.561", "M25.552"]),
        ("Gastroesophageal reflux disease.", ["K21.9"]),
        ("Pulmonary hypertension.", ["I27.20"]),
        ("Parkinson's disease.", ["G20.A1"]),
        ("History of breast cancer.", ["Z85.3"]),
        ("Pneumonia.", ["J18.9"]),
        ("Plantar fasciitis and sciatica, left side.", ["M72.2", "M54.32"]),
        ("Tennis elbow (right).", ["M77.11"]),
        ("Chronic low back pain.", ["M54.50"]),
    ],
)
def test_a_problem_that_is_said_has_its_code(said: str, expected: list[str]) -> None:
    assert sorted(codes(said)) == sorted(expected)


@pytest.mark.parametrize(
    "said",
    [
        "No hypertension.",
        "The patient denies asthma.",
        "Pneumonia was ruled out.",
        "Rule out pneumonia.",
        "Likely pneumonia.",
        "Possible gout.",
        "Pneumonia versus acute bronchitis.",
        "Consistent with gout.",
        "Suspected deep vein thrombosis of the right leg.",
        "Her mother has hypertension.",
        "Family history of breast cancer.",
        "At risk for osteoporosis.",
        "Screening for depression.",
        "If pneumonia develops, return.",
        "History of pneumonia, resolved.",
        "Knee pain.",
        "Right or left knee pain.",
        "Pain in the knee, right hand normal sensation and left too.",
        "Diabetes.",
        "Gestational hypertension.",
        "Secondary hypertension.",
        "Hemolytic anemia.",
        "Hypertension with chronic kidney disease.",
        "Type 2 diabetes with ketoacidosis.",
        "Anemia due to blood loss.",
        "ST depression on the ECG.",
        "Hearing aids were adjusted.",
        "Migraine prophylaxis was discussed.",
        "Prostate cancer screening.",
        "Is it gout?",
        "Diabetes on the left, knee pain.",
    ],
)
def test_what_is_unsure_has_none(said: str) -> None:
    assert codes(said) == []


@pytest.mark.parametrize("topic", [Topic.PLAN, Topic.HISTORY, Topic.FAMILY_SOCIAL, Topic.REVIEW_OF_SYSTEMS, Topic.EXAM])
def test_other_parts_of_a_note_suggest_nothing(topic: Topic) -> None:
    assert codes("Hypertension.", topic=topic) == []


def test_a_history_suggests_what_stays() -> None:
    assert codes("Hypertension.", "Pneumonia.", "Asthma.", topic=Topic.PAST_MEDICAL) == ["I10", "J45.909"]


def test_a_symptom_gives_way_to_the_disease_of_its_statement() -> None:
    assert codes("Cough.") == ["R05.9"]
    assert codes("Cough and pneumonia.") == ["J18.9"]


def test_a_code_comes_once_with_all_its_evidence() -> None:
    (one,) = suggest_codes(checked("Hypertension.", "High blood pressure."))
    assert (one.system, one.code, one.display) == (SYSTEM, "I10", "Essential (primary) hypertension")
    assert one.statement == "s1"
    assert [e.utterance for e in one.evidence] == [1, 2]


def test_what_did_not_pass_the_gate_suggests_nothing() -> None:
    assert suggest_codes(checked("Hypertension.", failed=frozenset({"s1"}))) == ()
    assert suggest_codes(checked("Hypertension.", refusal="another-encounter")) == ()


def test_every_code_of_the_table_is_a_leaf_with_the_words_of_the_code_set() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it reads its data through pkg_resources
        import simple_icd_10_cm as icd
    rows = list(read_table())
    wrong = [
        code.code
        for code, _ in rows
        if not icd.is_valid_item(code.code)
        or not icd.is_leaf(code.code)
        or icd.get_description(code.code) != code.display
    ]
    assert wrong == []
    assert len({terms[0] for _, terms in rows}) >= 250


def test_every_name_of_the_table_leads_to_its_code() -> None:
    missing = []
    for code, terms in read_table():
        for term in terms:
            side = {"left": "left ", "right": "right ", "both": "bilateral "}.get(code.side, "")
            if code.code not in codes(f"{side}{term}."):
                missing.append((code.code, term))
    assert missing == []


def test_no_name_of_the_table_has_two_codes_of_one_side() -> None:
    seen: dict[tuple[str, str], str] = {}
    for code, terms in read_table():
        for term in terms:
            assert seen.setdefault((term, code.side), code.code) == code.code
