"""What each role of a person gives: resource types with letters of ``cruds``. What no line names is denied.

A role is the most that any app can do in a person's name; scopes and launch context narrow it further. Nobody deletes
from the record of care: it is corrected by a new version.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What a person may be."""

    CLINICIAN = "clinician"
    RADIOLOGIST = "radiologist"
    PRIVACY_OFFICER = "privacy-officer"
    ADMINISTRATOR = "administrator"
    ML_ENGINEER = "ml-engineer"


CARING: Final = frozenset({Role.CLINICIAN, Role.RADIOLOGIST})
"""Roles that care for patients: only these may break the glass."""

REVIEWING: Final = frozenset({Role.PRIVACY_OFFICER})
"""Roles that review what was done behind broken glass."""

_READ: Final = frozenset("rs")
_ADD: Final = frozenset("crs")
_EDIT: Final = frozenset("crus")
_OWN: Final = frozenset("cruds")

# Who and where, without which no chart can be read. Not about patients.
_DIRECTORY: Final = dict.fromkeys(("Practitioner", "PractitionerRole", "Organization", "Device"), _READ)

# The chart as everybody who cares for the patient reads it. Provenance is part of it: it says what a model made.
_CHART: Final = dict.fromkeys(
    (
        "Patient",
        "Encounter",
        "ImagingStudy",
        "Observation",
        "DiagnosticReport",
        "RiskAssessment",
        "DocumentReference",
        "Composition",
        "Binary",
        "Condition",
        "MedicationRequest",
        "MedicationStatement",
        "AllergyIntolerance",
        "ServiceRequest",
        "Task",
        "Flag",
        "Communication",
        "Provenance",
    ),
    _READ,
)

_RIGHTS: Final[Mapping[Role, Mapping[str, frozenset[str]]]] = {
    # Reads the chart, documents, prescribes and orders. Patients, studies and models' results come from the flow and
    # from feeds, so no app changes them for a clinician; a report is the radiologist's.
    Role.CLINICIAN: _DIRECTORY
    | _CHART
    | dict.fromkeys(
        (
            "Observation",
            "Condition",
            "AllergyIntolerance",
            "MedicationRequest",
            "MedicationStatement",
            "ServiceRequest",
            "DocumentReference",
            "Composition",
            "Task",
            "Flag",
            "Communication",
        ),
        _EDIT,
    )
    | {"Binary": _ADD, "Provenance": _ADD},
    # Reads the chart, reports, and confirms or rejects what a model found (a new version, with its Provenance).
    # Neither prescribes nor keeps the problem list.
    Role.RADIOLOGIST: _DIRECTORY
    | _CHART
    | dict.fromkeys(
        (
            "DiagnosticReport",
            "Observation",
            "RiskAssessment",
            "DocumentReference",
            "Composition",
            "Task",
            "Flag",
            "Communication",
        ),
        _EDIT,
    )
    | {"Binary": _ADD, "Provenance": _ADD, "ServiceRequest": frozenset("rus")},
    # Sees who did what to whom, and who those people and patients are; not what is wrong with them (minimum necessary).
    Role.PRIVACY_OFFICER: _DIRECTORY | dict.fromkeys(("AuditEvent", "Provenance", "Patient"), _READ),
    # Runs the system: the directory, and where notifications go. No patient, and not the record of their own acts.
    Role.ADMINISTRATOR: dict.fromkeys(("Practitioner", "PractitionerRole", "Organization", "Device"), _EDIT)
    | {"Subscription": _OWN},
    # Works on models. Device is what the server says of a model; results are about patients, so they are not here.
    Role.ML_ENGINEER: dict.fromkeys(("Device", "Organization"), _READ),
}


def rights(role: Role) -> Mapping[str, frozenset[str]]:
    """Return what a role gives: letters of ``cruds`` by resource type; a type that is not there is denied."""
    return MappingProxyType(_RIGHTS.get(role, {}))
