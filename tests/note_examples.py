"""A note to publish, invented: what was said, the draft, the people, and the note with the identities back."""

from dataclasses import replace
from typing import Any

from osler.clinical.lexicon import Concept, Kind, Lexicon
from osler.domain.codes import Code
from osler.domain.note import (
    DraftAuthor,
    Topic,
)
from osler.domain.transcript import SpeechModel
from osler.publish.note.allergies import allergies
from osler.publish.note.identified import IdentifiedNote, IdentifiedSection, IdentifiedStatement, SaidAt, Signature
from osler.publish.note.items import Item, ProblemItem
from osler.publish.note.medications import medications
from osler.publish.note.vital_signs import vital_signs

BASE = "http://hub.example"
BEGAN = 1_767_346_200.0  # 2026-01-02 09:30 UTC
DRAFTED, SIGNED = BEGAN + 900, BEGAN + 1200

LEXICON = Lexicon(
    {
        **{
            name: Concept(name, Kind.DRUG)
            for name in ("metformin", "lisinopril", "penicillin", "ibuprofen", "insulin", "insulin glargine")
        },
        **dict.fromkeys(("albuterol", "ventolin"), Concept("albuterol", Kind.DRUG)),
        "cough": Concept("cough", Kind.SYMPTOM),
    }
)

AUTHOR = DraftAuthor("extractive", "osler-extractive", "1.0", "ab" * 32)
SPEECH = SpeechModel("whisper-large", "3", "cd" * 32)

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "OSL-TEST0PATIENT",
    "identifier": [
        {
            "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
            "value": "P100",
            "assigner": {"display": "HOSP"},
        }
    ],
    "name": [{"use": "official", "family": "Doe", "given": ["Jane", "Q"]}],
    "birthDate": "1970-01-02",
    "gender": "female",
}
PRACTITIONER: dict[str, Any] = {
    "resourceType": "Practitioner",
    "id": "dr1",
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
    "name": [{"family": "House", "given": ["Anna"], "prefix": ["Dr."]}],
}
ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "enc1",
    "identifier": [{"system": "http://hospital.example/visit", "value": "V-77"}],
    "status": "finished",
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
    "subject": {"reference": "Patient/OSL-TEST0PATIENT"},
}


def said(
    text: str, topic: Topic = Topic.HISTORY, *, id: str = "s1", edited: bool = False, quote: str = "as it was said"
) -> IdentifiedStatement:
    """Return a statement of a note to publish."""
    return IdentifiedStatement(id, text, topic, (SaidAt(3, 7.2, 9.9, quote),), edited)


def section(*statements: IdentifiedStatement, problem: str = "", **changes: str) -> IdentifiedSection:
    """Return a section of a note to publish."""
    given = {"key": "subjective", "title": "Subjective", "code": "61150-9"} | changes
    return IdentifiedSection(given["key"], given["title"], given["code"], statements, problem)


PLAN = {"key": "plan", "title": "Assessment and plan", "code": "51847-2"}
SECTIONS = (
    section(
        said("Mrs. Doe coughs since New Year's Day."),
        said("Takes metformin 500 mg twice a day.", Topic.MEDICATIONS, id="s2"),
        said("Allergic to penicillin, which gives hives.", Topic.ALLERGIES, id="s3"),
    ),
    section(
        said("Blood pressure 128/82, pulse 72, oxygen saturation 98%.", Topic.VITALS, id="s4"),
        key="objective",
        title="Objective",
        code="61149-1",
    ),
    section(said("Chest film.", Topic.PLAN, id="s5"), problem="Possible pneumonia", **PLAN),
    section(said("Go on as before.", Topic.PLAN, id="s6", edited=True), problem="Type 2 diabetes", **PLAN),
)


def note(*, signed: bool = True, sections: tuple[IdentifiedSection, ...] = SECTIONS, **changes: Any) -> IdentifiedNote:
    """Return a note to publish."""
    made = IdentifiedNote(
        encounter_id="e-1",
        revision=1,
        title="Progress note",
        code="11506-3",
        sections=sections,
        author=AUTHOR,
        patient=PATIENT,
        practitioner=PRACTITIONER,
        encounter=ENCOUNTER,
        began_at=BEGAN,
        drafted_at=DRAFTED,
        signature=Signature(SIGNED, PRACTITIONER) if signed else None,
        speech=SPEECH,
        edits=1,
    )
    return replace(made, **changes)


DIABETES = ProblemItem(
    "s6", "Type 2 diabetes", codes=(Code("E11.9", "ICD10CM", "Type 2 diabetes without complications"),)
)
PNEUMONIA = ProblemItem("s5", "Possible pneumonia", certain=False)


def items_of(one: IdentifiedNote) -> tuple[Item, ...]:
    """Return all items of the example."""
    found: tuple[Item, ...] = (*medications(one, LEXICON), *allergies(one, LEXICON))
    return (PNEUMONIA, DIABETES, *found, *vital_signs(one))
