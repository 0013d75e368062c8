"""A result as FHIR R4: Device and model card, Observation, DiagnosticReport, Provenance, Communication of an alert.

Everything says that it was made by artificial intelligence (``meta.security`` AIAST) and is preliminary. Logical ids
are the same each time, so that a result sent twice, or made again for a later revision of the study, is one result.

References
----------
HL7 FHIR R4 4.0.1; HL7 v3 ObservationValue AIAST; HL7 AI Transparency on FHIR 1.0.0-ballot; IHE Radiology AI
Results (AIR)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from osler.domain.codes import Code
from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.plugins import Card
from osler.publish.alert import Alert
from osler.publish.fhir_source import DCM, acquired, imaging_study, imaging_study_id, patient
from osler.publish.ids import logical_id
from osler.publish.model_card import AI_TRANSPARENCY, model_card, model_card_id
from osler.publish.reidentify import IdentifiedStudy
from osler.publish.wording import NOTICE, conclusion, figures, outside, statement
from osler.standards.fhir import Resource, instant

AI_ASSERTED: Final[Resource] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}
SYSTEMS: Final = {
    "SCT": "http://snomed.info/sct",
    "LN": "http://loinc.org",
    "DCM": DCM,
    "UCUM": "http://unitsofmeasure.org",
    "RADLEX": "http://radlex.org",
}
"""FHIR code systems by DICOM coding scheme designator (PS3.16 section 8)."""

PROBABILITY: Final = Code("122157", "DCM", "Probability")
THRESHOLD: Final = Code("122411", "DCM", "Threshold Value")
_PRESENT: Final = Code("52101004", "SCT", "Present")
_ABSENT: Final = Code("2667000", "SCT", "Absent")
_REPORT: Final = Code("18748-4", "LN", "Diagnostic imaging study")
_HL7: Final = "http://terminology.hl7.org/CodeSystem"
_CONFIDENCE: Final = f"{AI_TRANSPARENCY}/StructureDefinition/AIconfidence"
_REPLACES: Final = "http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces"


@dataclass(frozen=True, slots=True)
class Context:
    """What a result stands beside.

    Parameters
    ----------
    replaced : tuple of str
        Logical ids of the DiagnosticReports of earlier versions of the model, whose place this result takes.
    orders : tuple of str
        Logical ids of the ServiceRequests that the study was made for.
    """

    replaced: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()


_ALONE: Final = Context()


def resources(
    recorded: Recorded, source: IdentifiedStudy, *, card: Card | None = None, context: Context = _ALONE
) -> list[Resource]:
    """Build all resources of a result, each after those that it refers to.

    Parameters
    ----------
    recorded : Recorded
    source : IdentifiedStudy
        The study that it belongs to, checked.
    card : Card, optional
        The model's card; it goes along.
    context : Context, optional
    """
    inference, replaced = recorded.inference, context.replaced
    observations = [
        _observation(recorded, source, result, finding) for result in inference.results for finding in result.findings
    ]
    report = _report(recorded, source, observations, card)
    study = imaging_study(source)
    if context.orders:
        based_on = {"basedOn": [{"reference": f"ServiceRequest/{one}"} for one in context.orders]}
        report, study = report | based_on, study | based_on
    if replaced:
        report["extension"] = [
            {"url": _REPLACES, "valueReference": {"reference": f"DiagnosticReport/{one}"}} for one in replaced
        ]
    return [
        patient(source),
        *([model_card(card)] if card else []),
        device(inference.model, card),
        study,
        *observations,
        report,
        _provenance(recorded, source, [report, *observations], replaced),
    ]


def report_id(inference: Inference, model: str = "") -> str:
    """Return the logical id of the DiagnosticReport of a model on a study, whatever the revision.

    Parameters
    ----------
    inference : Inference
    model : str, optional
        Another model (``name@version``) that has read the same study.
    """
    return logical_id("DiagnosticReport", inference.study_instance_uid, model or str(inference.model))


def observation_id(inference: Inference, result: CaseResult, finding: Finding) -> str:
    """Return the logical id of the Observation of one finding on one case."""
    code = finding.code
    parts = (inference.study_instance_uid, str(inference.model), *result.sop_instance_uids, code.scheme, code.value)
    return logical_id("Observation", *parts)


def device_id(model: ModelVersion) -> str:
    """Return the logical id of the Device that stands for a model's version and weights."""
    return logical_id("Device", model.name, model.version, model.sha256)


def device(model: ModelVersion, card: Card | None = None) -> Resource:
    """Build the Device that stands for the model: name, version, hash of the weights, preprocessing."""
    facts = {"Weights SHA-256": model.sha256, "Preprocessing version": model.preprocessing}
    if card is not None:
        facts["Licence of the weights"] = card.licence
    made: Resource = {
        "resourceType": "Device",
        "id": device_id(model),
        "meta": {"profile": [f"{AI_TRANSPARENCY}/StructureDefinition/AI-Device"]},
        "status": "active",
        "deviceName": [{"name": model.name, "type": "model-name"}],
        "type": {
            "coding": [
                {
                    "system": f"{AI_TRANSPARENCY}/CodeSystem/AIdeviceTypeCS",
                    "code": "Artificial-Intelligence",
                }
            ],
            "text": "Artificial intelligence model",
        },
        "version": [{"value": model.version}],
        "property": [{"type": {"text": name}, "valueCode": [{"text": value}]} for name, value in facts.items()],
    }
    if card is not None:
        made["extension"] = [
            {
                "url": f"{AI_TRANSPARENCY}/StructureDefinition/aitransparency.modelCardDescription",
                "valueReference": {"reference": f"DocumentReference/{model_card_id(model)}"},
            }
        ]
        notes = {"Intended use": card.intended_use, "Limitations": card.limitations}
        made["note"] = [{"text": f"{name}: {text.strip()}"} for name, text in notes.items() if text.strip()]
    return made


def communication(recorded: Recorded, alert: Alert, *, patient_pseudonym: str) -> Resource:
    """Build the Communication that stands for an alert: in progress until a person acknowledges it.

    Names the patient by the logical id alone, so that it can be written again without opening the vault.
    """
    inference = recorded.inference
    critical = [(r, f) for r in inference.results for f in r.findings if f.critical and f.positive]
    cautions = dict.fromkeys(outside(r) for r, _ in critical if r.outside_intended_use)
    said = " ".join([NOTICE, *(statement(f) for _, f in critical), *cautions])
    made: Resource = {
        "resourceType": "Communication",
        "id": logical_id("Communication", alert.id),
        "meta": {"security": [AI_ASSERTED]},
        "status": "completed" if alert.acknowledged_at is not None else "in-progress",
        "category": [_concept("communication-category", "alert", "Alert")],
        "priority": "stat",
        "subject": {"reference": f"Patient/{patient_pseudonym}"},
        "about": [
            {"reference": f"DiagnosticReport/{report_id(inference)}"},
            *({"reference": f"Observation/{observation_id(inference, r, f)}"} for r, f in critical),
        ],
        "sent": instant(alert.raised_at),
        "sender": {"reference": f"Device/{device_id(inference.model)}"},
        "payload": [{"contentString": said}],
    }
    if alert.acknowledged_at is not None:
        made["received"] = instant(alert.acknowledged_at)
        made["note"] = [{"text": f"Acknowledged by {alert.acknowledged_by}."}]
    return made


def coding(code: Code) -> Resource:
    """Write a coded concept as a FHIR Coding; without a system when its scheme has none that is known."""
    made: Resource = {"system": SYSTEMS[code.scheme]} if code.scheme in SYSTEMS else {}
    return made | {"code": code.value, "display": code.meaning}


def _observation(recorded: Recorded, source: IdentifiedStudy, result: CaseResult, finding: Finding) -> Resource:
    inference = recorded.inference
    read = [source.read[uid] for uid in result.sop_instance_uids]
    presence, letters = (_PRESENT, "POS") if finding.positive else (_ABSENT, "NEG")
    probability, threshold = figures(finding)
    made: Resource = {
        "resourceType": "Observation",
        "id": observation_id(inference, result, finding),
        "meta": {"security": [AI_ASSERTED]},
        # of what is recorded, which for an absent finding is its absence
        "extension": [{"url": _CONFIDENCE, "valueDecimal": probability if finding.positive else 1 - probability}],
        "status": "preliminary",
        "category": [_concept("observation-category", "imaging", "Imaging")],
        "code": {"coding": [coding(finding.code)], "text": finding.label},
        "subject": {"reference": f"Patient/{source.patient}"},
        "issued": instant(recorded.recorded_at),
        "valueCodeableConcept": {"coding": [coding(presence)]},
        "interpretation": [
            _concept("v3-ObservationInterpretation", letters, "Positive" if finding.positive else "Negative")
        ],
        "note": [{"text": text} for text in (NOTICE, outside(result)) if text],
        "method": {"text": f"{inference.model}, preprocessing {inference.model.preprocessing}"},
        "device": {"reference": f"Device/{device_id(inference.model)}", "display": str(inference.model)},
        "derivedFrom": [
            {
                "reference": f"ImagingStudy/{imaging_study_id(source.study_uid)}",
                "display": f"SOP Instance UID {one.identity.sop_instance_uid}",
            }
            for one in read
        ],
        "component": [_quantity(PROBABILITY, probability), _quantity(THRESHOLD, threshold)],
    }
    when = acquired(read[0])
    if when:
        made["effectiveDateTime"] = when
    return made


def _report(
    recorded: Recorded, source: IdentifiedStudy, observations: Sequence[Resource], card: Card | None
) -> Resource:
    inference = recorded.inference
    made: Resource = {
        "resourceType": "DiagnosticReport",
        "id": report_id(inference),
        "meta": {"security": [AI_ASSERTED]},
        "status": "preliminary",
        "category": [_concept("v2-0074", "RAD", "Radiology")],
        "code": {"coding": [coding(_REPORT)], "text": f"AI result: {inference.model}"},
        "subject": {"reference": f"Patient/{source.patient}"},
        "issued": instant(recorded.recorded_at),
        "result": [{"reference": f"Observation/{o['id']}"} for o in observations],
        "imagingStudy": [{"reference": f"ImagingStudy/{imaging_study_id(source.study_uid)}"}],
        "conclusion": conclusion(inference, intended_use=card.intended_use.strip() if card else ""),
    }
    when = acquired(source.first)
    if when:
        made["effectiveDateTime"] = when
    return made


def _provenance(
    recorded: Recorded, source: IdentifiedStudy, targets: Sequence[Resource], replaced: Sequence[str]
) -> Resource:
    inference = recorded.inference
    return {
        "resourceType": "Provenance",
        "id": logical_id("Provenance", report_id(inference)),
        "meta": {"profile": [f"{AI_TRANSPARENCY}/StructureDefinition/AI-Provenance"], "security": [AI_ASSERTED]},
        "target": [{"reference": f"{t['resourceType']}/{t['id']}"} for t in targets],
        "recorded": instant(recorded.recorded_at),
        "activity": _concept("v3-DataOperation", "CREATE", "create"),
        "agent": [
            {
                "type": _concept("provenance-participant-type", "assembler", "Assembler"),
                "who": {"reference": f"Device/{device_id(inference.model)}", "display": str(inference.model)},
            }
        ],
        "entity": [
            {"role": "source", "what": {"reference": f"ImagingStudy/{imaging_study_id(source.study_uid)}"}},
            *({"role": "revision", "what": {"reference": f"DiagnosticReport/{one}"}} for one in replaced),
        ],
    }


def _concept(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": f"{_HL7}/{system}", "code": code, "display": display}]}


def _quantity(code: Code, value: Any) -> Resource:
    quantity = {"value": value, "unit": "1", "system": SYSTEMS["UCUM"], "code": "1"}
    return {"code": {"coding": [coding(code)], "text": code.meaning.lower()}, "valueQuantity": quantity}
