"""What a resource is marked with, and small questions about its parts."""

from decimal import Decimal
from typing import Any, Final

from osler.deidentify.coding import in_years
from osler.deidentify.methods import CITATIONS
from osler.deidentify.safe_harbor import OLDEST_AGE
from osler.standards.fhir import Resource

MASKED: Final[Resource] = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]
}
_PSEUDONYMISED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "PSEUDED",
    "display": "pseudonymized",
}
_UCUM: Final = "http://unitsofmeasure.org"
PATIENT_NUMBERS: Final = ("MR", "PI", "PT")
"""Types of identifiers (table 0203) that tell a patient apart for good, the best first."""
# Resources that are no person, no place and no single device: the display of a reference to one is clinical.
CLINICAL: Final = frozenset(
    {
        "ActivityDefinition",
        "AllergyIntolerance",
        "CarePlan",
        "ClinicalImpression",
        "Condition",
        "DetectedIssue",
        "DiagnosticReport",
        "Goal",
        "Immunization",
        "Library",
        "Measure",
        "Medication",
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
        "NutritionOrder",
        "Observation",
        "PlanDefinition",
        "Procedure",
        "Questionnaire",
        "QuestionnaireResponse",
        "RiskAssessment",
        "ServiceRequest",
        "Specimen",
        "Substance",
    }
)


def capped(quantity: Resource, *, default_unit: str) -> Resource:
    """Tell an age over 89 years as 90 or more; no other length of time in health care is as long."""
    value = quantity.get("value")
    if not isinstance(value, int | Decimal):
        return {name: part for name, part in quantity.items() if name != "value"}
    unit = str(quantity.get("code") or quantity.get("unit") or default_unit)
    years = in_years(float(value), unit)
    if years is None or years < OLDEST_AGE + 1:
        return quantity
    return {"value": OLDEST_AGE + 1, "comparator": ">=", "unit": "years", "system": _UCUM, "code": "a"}


def type_codes(identifier: dict[str, Any]) -> frozenset[str]:
    """Return the codes of an identifier's type."""
    kind = identifier.get("type")
    codings = kind.get("coding") if isinstance(kind, dict) else None
    found = codings if isinstance(codings, list) else []
    return frozenset(str(c.get("code")) for c in found if isinstance(c, dict))


def labelled(meta: Resource | None, method: str) -> Resource:
    """Say that it is pseudonymised, by which method, and where the rule of the method stands."""
    made = dict(meta) if isinstance(meta, dict) else {}
    labels = [label for label in dicts(made.get("security")) if label.get("code") != "PSEUDED"]
    made["security"] = [*labels, _PSEUDONYMISED]
    tags = [tag for tag in dicts(made.get("tag")) if tag.get("display") not in CITATIONS]
    made["tag"] = [*tags, {"system": "urn:ietf:rfc:3986", "code": CITATIONS[method], "display": method}]
    return made


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; of what is none, nothing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
