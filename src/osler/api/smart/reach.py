"""How far a token reaches: its scopes, the role of the person, and the patient of the launch, decided once.

References
----------
SMART App Launch 2.2, Scopes for requesting FHIR resources; HL7 FHIR R4, Compartment Patient
"""

from collections.abc import Iterator
from typing import Final

from osler.api.people.roles import rights
from osler.api.smart.scopes import Scope
from osler.api.smart.tokens import Grant
from osler.domain.reach import NO_PATIENT, Part, Reach

_DIRECTORY: Final = frozenset({"Practitioner", "PractitionerRole", "Organization"})
"""Types of no patient's compartment, without which a patient's record cannot be read."""
_SHARED: Final = frozenset({"Device"})
"""Types of which some belong to a patient and some to nobody, as a model does."""
_NAMED: Final = frozenset({"AuditEvent"})
"""Types that a patient's record does not mean: ``patient/*`` leaves them out."""
_LOOK: Final = frozenset("rs")


def reach_of(grant: Grant, type_name: str, right: str, *, broken: frozenset[str] = frozenset()) -> Reach:
    """Return which resources of a type a token gives a right to.

    Parameters
    ----------
    grant : Grant
    type_name : str
    right : str
        A letter of ``cruds``.
    broken : frozenset of str
        Patients (logical ids) for whom the person has broken the glass.
    """
    if grant.person is not None and right not in rights(grant.person.role).get(type_name, ()):
        return ()
    parts: dict[Part, None] = {}
    for scope in grant.scopes:
        if right in scope.rights and scope.covers(type_name):
            parts.update(dict.fromkeys(_parts(scope, grant, type_name, right, broken)))
    return tuple(parts)


def _parts(scope: Scope, grant: Grant, type_name: str, right: str, broken: frozenset[str]) -> Iterator[Part]:
    terms = scope.terms(type_name)
    if terms is None:
        return
    if scope.context == "system" and grant.person is None:
        yield Part(tokens=terms, restricted=True)
    elif scope.context == "user" and grant.person is not None:
        yield Part(tokens=terms)
        yield from (Part(patient=patient, tokens=terms, restricted=True) for patient in sorted(broken))
    elif scope.context == "patient" and grant.context.patient is not None:
        patient = grant.context.patient
        if type_name in _NAMED and scope.type != type_name:
            return
        if type_name in _DIRECTORY:
            if right in _LOOK:
                yield Part(tokens=terms)
            return
        yield Part(patient=patient, tokens=terms, restricted=patient in broken)
        if type_name in _SHARED and right in _LOOK:
            yield Part(patient=NO_PATIENT, tokens=terms)
