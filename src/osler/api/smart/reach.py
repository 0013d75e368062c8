"""How far a token reaches: its scopes, the role of the person, and the patient of the launch, decided once.

References
----------
SMART App Launch 2.2, Scopes for requesting FHIR resources; HL7 FHIR R4, Compartment Patient
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Final, Literal

from osler.api.people.roles import rights
from osler.api.smart.scopes import Scope
from osler.api.smart.tokens import Grant
from osler.domain.reach import NO_PATIENT, Part, Reach
from osler.standards.fhir_index import context_term
from osler.standards.fhir_search import SEARCHABLE

_DIRECTORY: Final = frozenset({"Practitioner", "PractitionerRole", "Organization"})
"""Types of no patient's compartment, without which a patient's record cannot be read."""
_SHARED: Final = frozenset({"Device"})
"""Types of which some belong to a patient and some to nobody, as a model does."""
_NAMED: Final = frozenset({"AuditEvent"})
"""Types that a patient's record does not mean: ``patient/*`` leaves them out."""
_LOOK: Final = frozenset("rs")
_NO_CONTEXT: Final = frozenset({"Binary", "Provenance", "Patient"})
"""Types that are no context of a Binary by themselves; a Patient's compartment holds in any case."""


def reach_of(grant: Grant, type_name: str, right: str, *, broken: frozenset[str] = frozenset()) -> Reach:
    """Return which resources of a type a token gives a right to.

    A Binary is within reach when its ``securityContext`` may be read, too: what a granular scope (``?category=``) alone
    gives to read does not open the Binaries of it.

    Parameters
    ----------
    grant : Grant
    type_name : str
    right : str
        A letter of ``cruds``.
    broken : frozenset of str
        Patients (logical ids) for whom the person has broken the glass.
    """
    reach = _reach_of(grant, type_name, right, broken)
    if type_name != "Binary" or not reach:
        return reach
    contexts = {kind: _reach_of(grant, kind, "r", broken) for kind in SEARCHABLE if kind not in _NO_CONTEXT}
    if all(set(reach) <= set(each) for each in contexts.values()):
        return reach  # whatever it is, it may be read
    found = [replace(part, tokens=(*part.tokens, context_term(""))) for part in reach]
    for kind, readable in contexts.items():
        for own, other in product(reach, readable):
            if not other.tokens and (patient := _both(own.patient, other.patient)) is not False:
                tokens = (*own.tokens, context_term(kind))
                found.append(Part(patient, tokens, own.restricted and other.restricted))
    return tuple(dict.fromkeys(found))


def _both(one: str | None, other: str | None) -> str | Literal[False] | None:
    """Return whose resources lie in two parts; False for nobody's."""
    return other if one is None else one if other in (None, one) else False


def _reach_of(grant: Grant, type_name: str, right: str, broken: frozenset[str]) -> Reach:
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
