"""Scopes in the words of a person who is asked to allow them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from osler.api.smart.scopes import SPOKE, Scope

_NAMES: Final[Mapping[str, str]] = {
    "*": "the whole record",
    "Patient": "name, birth date, address and numbers",
    "Observation": "measurements and findings",
    "DiagnosticReport": "reports of imaging and laboratory",
    "ImagingStudy": "imaging studies",
    "Condition": "problems and diagnoses",
    "MedicationRequest": "prescriptions",
    "AllergyIntolerance": "allergies",
    "ServiceRequest": "orders",
    "DocumentReference": "documents",
    "Composition": "composed documents",
    "Binary": "contents of documents",
    "Encounter": "visits and stays",
    "RiskAssessment": "risk assessments",
    "Communication": "messages about the patient",
    "Task": "tasks",
    "Flag": "warnings",
    "Provenance": "who or what made an entry",
    "Practitioner": "clinicians",
    "PractitionerRole": "clinicians' roles",
    "Organization": "organisations",
    "Device": "devices and models",
    "AuditEvent": "who has seen what",
    "Subscription": "notifications",
}
_DIRECTORY: Final = frozenset({"Practitioner", "PractitionerRole", "Organization", "Device"})
_OF: Final[Mapping[str, str]] = {"patient": "of this patient", "user": "of every patient whom you may see"}
_VERBS: Final[Mapping[str, str]] = {"r": "read", "s": "search", "c": "add", "u": "change", "d": "delete"}
_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    "openid": ("That it is you", "A number that stands for you, always the same one."),
    "fhirUser": ("Your entry in the directory", "Your name and profession as the record shows them."),
    "profile": ("Your profile", "The same entry, as apps of another kind ask for it."),
    "online_access": ("While you are at work", "The app need not ask again today."),
    "offline_access": ("Also when you are away", "The app keeps its access for 90 days, until you or it end it."),
}
IMPLIED: Final = frozenset({"launch", "launch/patient", "launch/encounter", SPOKE})
"""Scopes that come with the choice of the patient, or mean nothing where a person acts: not asked about."""
LASTING: Final = frozenset({"online_access", "offline_access"})
IDENTITY: Final = frozenset({"openid", "fhirUser", "profile"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line that may be ticked: the scope, its words, and what they mean."""

    scope: str
    words: str
    detail: str
    writes: bool = False


def lines_of(scopes: Sequence[Scope]) -> list[Line]:
    """Return the lines for a person, in the order in which the client asked."""
    return [_line(scope) for scope in scopes if scope.text not in IMPLIED]


def _line(scope: Scope) -> Line:
    if not scope.context:
        return Line(scope.text, *_PLAIN[scope.text])
    words = f"{_joined(_verbs(scope))} {_NAMES.get(scope.type, scope.type)}"
    of = "in the directory" if scope.type in _DIRECTORY else _OF[scope.context]
    only = f", only {', '.join(_only(text) for text in scope.filters)}" if scope.filters else ""
    return Line(scope.text, _sentence(words), _sentence(f"{of}{only}."), writes=bool(set("cud") & scope.rights))


def _verbs(scope: Scope) -> list[str]:
    seen = ["see"] if set("rs") <= scope.rights else [_VERBS[letter] for letter in "rs" if letter in scope.rights]
    return [*seen, *(_VERBS[letter] for letter in "cud" if letter in scope.rights)]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _only(text: str) -> str:
    name, _, value = text.partition("=")
    return f"{name.lstrip('_')} {unquote_plus(value).rpartition('|')[2] or unquote_plus(value)}"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
