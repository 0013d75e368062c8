"""A person confirms, corrects or rejects what artificial intelligence asserted: the Provenance of the verifier.

The label AIAST stays on the result: who asserted it first does not change. What changes is its status, and that a
person answers for it.

References
----------
HL7 FHIR R4 4.0.1 Provenance; ISO 21089 record lifecycle events (verify); HL7 AI Transparency on FHIR 1.0.0-ballot
"""

from dataclasses import dataclass
from typing import Final

from osler.standards.fhir import Resource, instant

VERIFIABLE: Final = frozenset({"Observation", "DiagnosticReport", "RiskAssessment"})
PRELIMINARY: Final = frozenset({"registered", "preliminary", "partial"})
_AI: Final = ("http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "AIAST")
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who answers for it.

    Parameters
    ----------
    name : str
        User name.
    practitioner : str or None
        Reference to the Practitioner, when one is known.
    """

    name: str
    practitioner: str | None = None


def ai_asserted(resource: Resource) -> bool:
    """Tell whether a resource is labelled as made by artificial intelligence."""
    labels = resource.get("meta", {}).get("security", [])
    return any((label.get("system"), label.get("code")) == _AI for label in labels)


def awaits_verification(resource: Resource) -> bool:
    """Tell whether a result of artificial intelligence has not been confirmed by a person yet."""
    return resource["resourceType"] in VERIFIABLE and ai_asserted(resource) and resource.get("status") in PRELIMINARY


def verification(before: Resource, after: Resource, *, verifier: Verifier, now: float) -> Resource | None:
    """Build the Provenance that a person has verified a result, or None when this change is no verification.

    Parameters
    ----------
    before, after : dict
        The version that held, and the one that takes its place, with ``meta.versionId``.
    verifier : Verifier
    now : float
        Seconds since the epoch, UTC.

    Returns
    -------
    dict or None
        Without an id.
    """
    if not awaits_verification(before) or after.get("status") in PRELIMINARY:
        return None
    reference = f"{after['resourceType']}/{after['id']}"
    who: Resource = {"display": verifier.name}
    if verifier.practitioner:
        who["reference"] = verifier.practitioner
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{reference}/_history/{after['meta']['versionId']}"}],
        "recorded": instant(now),
        "activity": {"coding": [{"system": _LIFECYCLE, "code": "verify", "display": "Verify Record Lifecycle Event"}]},
        "agent": [
            {"type": {"coding": [{"system": _PARTICIPANT, "code": "verifier", "display": "Verifier"}]}, "who": who}
        ],
        "entity": [{"role": "revision", "what": {"reference": f"{reference}/_history/{before['meta']['versionId']}"}}],
    }
