"""One realistic resource of each type that the server keeps, as a hospital would write it."""

import copy
from typing import Any, Final

LOINC: Final = "http://loinc.org"
SCT: Final = "http://snomed.info/sct"
UCUM: Final = "http://unitsofmeasure.org"
HL7: Final = "http://terminology.hl7.org/CodeSystem"
PATIENT: Final = {"reference": "Patient/pat"}
ENCOUNTER: Final = {"reference": "Encounter/enc"}
DOCTOR: Final = {"reference": "Practitioner/doc", "display": "Dr Frances Holt"}


def coded(system: str, code: str, display: str) -> dict[str, Any]:
    """Return a CodeableConcept."""
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def narrative(words: str) -> dict[str, str]:
    """Return a generated Narrative."""
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{words}</p></div>'}


_EXAMPLES: Final[tuple[dict[str, Any], ...]] = (
    {
        "resourceType": "Organization",
        "id": "org",
        "active": True,
        "identifier": [{"system": "urn:oid:2.16.840.1.113883.4.6", "value": "1234567893"}],
        "type": [coded(f"{HL7}/organization-type", "prov", "Healthcare Provider")],
        "name": "St Mary Hospital",
        "telecom": [{"system": "phone", "value": "+1 555 0100", "use": "work"}],
    },
    {
        "resourceType": "Practitioner",
        "id": "doc",
        "active": True,
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "9941339100"}],
        "name": [{"use": "official", "family": "Holt", "given": ["Frances"], "prefix": ["Dr"]}],
        "qualification": [{"code": coded(f"{HL7}/v2-0360", "MD", "Doctor of Medicine")}],
    },
    {
        "resourceType": "PractitionerRole",
        "id": "role",
        "active": True,
        "practitioner": DOCTOR,
        "organization": {"reference": "Organization/org"},
        "code": [coded(SCT, "66862007", "Radiologist")],
        "availableTime": [
            {"daysOfWeek": ["mon", "tue"], "availableStartTime": "08:00:00", "availableEndTime": "16:00:00"}
        ],
    },
    {
        "resourceType": "Patient",
        "id": "pat",
        "text": narrative("Ada Amber, born 2 January 1970"),
        "extension": [
            {
                "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",
                "valueCode": "F",
            }
        ],
        "identifier": [
            {
                "use": "usual",
                "type": coded(f"{HL7}/v2-0203", "MR", "Medical record number"),
                "system": "urn:mrn",
                "value": "M-1",
            }
        ],
        "active": True,
        "name": [{"use": "official", "family": "Amber", "given": ["Ada", "Mae"], "period": {"start": "2001-05"}}],
        "telecom": [{"system": "phone", "value": "+1 555 0101", "use": "home", "rank": 1}],
        "gender": "female",
        "birthDate": "1970-01-02",
        "_birthDate": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                    "valueDateTime": "1970-01-02T04:05:00Z",
                }
            ]
        },
        "deceasedBoolean": False,
        "address": [
            {
                "use": "home",
                "line": ["1 Quay Row"],
                "city": "Ashton",
                "state": "MA",
                "postalCode": "01001",
                "country": "US",
            }
        ],
        "maritalStatus": coded(f"{HL7}/v3-MaritalStatus", "M", "Married"),
        "contact": [{"relationship": [coded(f"{HL7}/v2-0131", "N", "Next-of-Kin")], "name": {"text": "Bo Amber"}}],
        "communication": [{"language": coded("urn:ietf:bcp:47", "en-US", "English"), "preferred": True}],
        "generalPractitioner": [DOCTOR],
        "managingOrganization": {"reference": "Organization/org"},
    },
    {
        "resourceType": "Encounter",
        "id": "enc",
        "status": "in-progress",
        "class": {"system": f"{HL7}/v3-ActCode", "code": "EMER", "display": "emergency"},
        "type": [coded(SCT, "50849002", "Emergency room admission")],
        "subject": PATIENT,
        "participant": [{"individual": DOCTOR}],
        "period": {"start": "2026-03-01T08:15:00Z"},
        "serviceProvider": {"reference": "Organization/org"},
    },
    {
        "resourceType": "Device",
        "id": "model",
        "status": "active",
        "deviceName": [{"name": "cxr-pneumonia", "type": "model-name"}],
        "type": coded(SCT, "706689003", "Artificial intelligence application"),
        "version": [{"value": "1.0.0"}],
        "udiCarrier": [{"deviceIdentifier": "00844588003288", "entryType": "barcode"}],
    },
    {
        "resourceType": "ServiceRequest",
        "id": "order",
        "identifier": [{"type": coded(f"{HL7}/v2-0203", "ACSN", "Accession ID"), "system": "urn:acc", "value": "A100"}],
        "status": "active",
        "intent": "order",
        "priority": "stat",
        "code": coded(LOINC, "36643-5", "XR Chest 2 Views"),
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "authoredOn": "2026-03-01T08:30:00Z",
        "requester": DOCTOR,
        "reasonCode": [coded(SCT, "49727002", "Cough")],
    },
    {
        "resourceType": "ImagingStudy",
        "id": "study",
        "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:2.25.1"}],
        "status": "available",
        "modality": [{"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"}],
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "started": "2026-03-01T09:00:00+01:00",
        "basedOn": [{"reference": "ServiceRequest/order"}],
        "numberOfSeries": 1,
        "numberOfInstances": 1,
        "series": [
            {
                "uid": "2.25.11",
                "number": 1,
                "modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"},
                "bodySite": {"system": SCT, "code": "51185008", "display": "Chest"},
                "instance": [
                    {
                        "uid": "2.25.111",
                        "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.1.1"},
                        "number": 1,
                    }
                ],
            }
        ],
    },
    {
        "resourceType": "Observation",
        "id": "lab",
        "status": "final",
        "category": [coded(f"{HL7}/observation-category", "laboratory", "Laboratory")],
        "code": coded(LOINC, "2160-0", "Creatinine [Mass/volume] in Serum or Plasma"),
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "effectiveDateTime": "2026-03-01T08:40:00Z",
        "issued": "2026-03-01T09:10:00.000Z",
        "performer": [{"reference": "Organization/org"}],
        "valueQuantity": {"value": 1.1, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"},
        "interpretation": [coded(f"{HL7}/v3-ObservationInterpretation", "N", "Normal")],
        "referenceRange": [
            {"low": {"value": 0.6, "unit": "mg/dL", "system": UCUM, "code": "mg/dL"}, "text": "0.6 to 1.2"}
        ],
    },
    {
        "resourceType": "Observation",
        "id": "bp",
        "status": "final",
        "category": [coded(f"{HL7}/observation-category", "vital-signs", "Vital Signs")],
        "code": coded(LOINC, "85354-9", "Blood pressure panel"),
        "subject": PATIENT,
        "effectivePeriod": {"start": "2026-03-01T08:00:00Z", "end": "2026-03-01T08:05:00Z"},
        "component": [
            {
                "code": coded(LOINC, code, display),
                "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
            }
            for code, display, value in (("8480-6", "Systolic", 128), ("8462-4", "Diastolic", 82))
        ],
    },
    {
        "resourceType": "DiagnosticReport",
        "id": "report",
        "status": "final",
        "category": [coded(f"{HL7}/v2-0074", "RAD", "Radiology")],
        "code": coded(LOINC, "36643-5", "XR Chest 2 Views"),
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "effectiveDateTime": "2026-03-01T09:00:00Z",
        "issued": "2026-03-01T10:00:00Z",
        "performer": [DOCTOR],
        "result": [{"reference": "Observation/lab"}],
        "imagingStudy": [{"reference": "ImagingStudy/study"}],
        "conclusion": "No consolidation.",
        "presentedForm": [{"contentType": "text/plain", "data": "Tm8gY29uc29saWRhdGlvbi4="}],
    },
    {
        "resourceType": "RiskAssessment",
        "id": "risk",
        "status": "preliminary",
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "occurrenceDateTime": "2026-03-01T09:05:00Z",
        "performer": {"reference": "Device/model"},
        "basis": [{"reference": "ImagingStudy/study"}],
        "prediction": [{"outcome": coded(SCT, "233604007", "Pneumonia"), "probabilityDecimal": 0.93}],
    },
    {
        "resourceType": "Binary",
        "id": "bin",
        "contentType": "text/plain",
        "securityContext": PATIENT,
        "data": "UmVwb3J0",
    },
    {
        "resourceType": "DocumentReference",
        "id": "document",
        "status": "current",
        "docStatus": "final",
        "type": coded(LOINC, "18748-4", "Diagnostic imaging study"),
        "subject": PATIENT,
        "date": "2026-03-01T10:05:00Z",
        "author": [DOCTOR],
        "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/bin", "title": "Report"}}],
        "context": {"encounter": [ENCOUNTER], "period": {"start": "2026-03-01"}},
    },
    {
        "resourceType": "Composition",
        "id": "composition",
        "status": "final",
        "type": coded(LOINC, "18748-4", "Diagnostic imaging study"),
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "date": "2026-03-01T10:05:00Z",
        "author": [DOCTOR],
        "title": "Chest radiograph",
        "section": [
            {"title": "Findings", "text": narrative("No consolidation."), "entry": [{"reference": "Observation/lab"}]}
        ],
    },
    {
        "resourceType": "Condition",
        "id": "condition",
        "clinicalStatus": coded(f"{HL7}/condition-clinical", "active", "Active"),
        "verificationStatus": coded(f"{HL7}/condition-ver-status", "confirmed", "Confirmed"),
        "category": [coded(f"{HL7}/condition-category", "encounter-diagnosis", "Encounter Diagnosis")],
        "code": coded(SCT, "195967001", "Asthma"),
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "onsetAge": {"value": 12, "unit": "a", "system": UCUM, "code": "a"},
        "recordedDate": "2026-03-01",
    },
    {
        "resourceType": "MedicationRequest",
        "id": "prescription",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded(
            "http://www.nlm.nih.gov/research/umls/rxnorm", "308189", "Amoxicillin 400 MG"
        ),
        "subject": PATIENT,
        "encounter": ENCOUNTER,
        "authoredOn": "2026-03-01",
        "requester": DOCTOR,
        "dosageInstruction": [
            {
                "text": "one tablet three times a day",
                "timing": {"repeat": {"frequency": 3, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "TAB"}}],
            }
        ],
    },
    {
        "resourceType": "MedicationStatement",
        "id": "taken",
        "status": "active",
        "medicationCodeableConcept": {"text": "Aspirin 81 mg"},
        "subject": PATIENT,
        "effectivePeriod": {"start": "2024"},
    },
    {
        "resourceType": "AllergyIntolerance",
        "id": "allergy",
        "clinicalStatus": coded(f"{HL7}/allergyintolerance-clinical", "active", "Active"),
        "verificationStatus": coded(f"{HL7}/allergyintolerance-verification", "confirmed", "Confirmed"),
        "type": "allergy",
        "category": ["medication"],
        "criticality": "high",
        "code": coded(SCT, "293637006", "Allergy to contrast media"),
        "patient": PATIENT,
        "reaction": [{"manifestation": [coded(SCT, "126485001", "Urticaria")], "severity": "moderate"}],
    },
    {
        "resourceType": "Task",
        "id": "task",
        "status": "requested",
        "intent": "order",
        "priority": "urgent",
        "code": coded("http://hl7.org/fhir/CodeSystem/task-code", "fulfill", "Fulfill the focal request"),
        "focus": {"reference": "ServiceRequest/order"},
        "for": PATIENT,
        "authoredOn": "2026-03-01T08:31:00Z",
        "requester": DOCTOR,
        "owner": {"reference": "Organization/org"},
    },
    {
        "resourceType": "Flag",
        "id": "flag",
        "status": "active",
        "category": [coded(f"{HL7}/flag-category", "clinical", "Clinical")],
        "code": {"text": "Unreviewed critical finding"},
        "subject": PATIENT,
        "period": {"start": "2026-03-01"},
    },
    {
        "resourceType": "Communication",
        "id": "alert",
        "status": "completed",
        "category": [coded(f"{HL7}/communication-category", "alert", "Alert")],
        "priority": "stat",
        "subject": PATIENT,
        "sent": "2026-03-01T09:06:00Z",
        "recipient": [DOCTOR],
        "sender": {"reference": "Device/model"},
        "payload": [{"contentString": "Possible pneumonia, please look."}],
    },
    {
        "resourceType": "Provenance",
        "id": "origin",
        "target": [{"reference": "RiskAssessment/risk"}],
        "recorded": "2026-03-01T09:05:00Z",
        "activity": coded("http://terminology.hl7.org/CodeSystem/v3-DataOperation", "CREATE", "create"),
        "agent": [
            {
                "type": coded(f"{HL7}/provenance-participant-type", "assembler", "Assembler"),
                "who": {"reference": "Device/model"},
            }
        ],
        "entity": [{"role": "source", "what": {"reference": "ImagingStudy/study"}}],
    },
    {
        "resourceType": "Group",
        "id": "cohort",
        "active": True,
        "type": "person",
        "actual": True,
        "name": "Chest radiographs in March",
        "member": [{"entity": PATIENT}],
    },
)


def examples() -> list[dict[str, Any]]:
    """Return them in an order in which each refers only to those before it."""
    return copy.deepcopy(list(_EXAMPLES))
