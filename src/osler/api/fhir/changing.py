"""Changes to resources, as they happen inside one transaction with what the audit says of them.

A change is refused when it would reach farther than its caller may, when a reference in it leads nowhere, and when
what it deletes is still referred to.

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.4 to 3.1.0.10
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import Connection

from osler.api.fhir.conditional import check_match, check_none_match
from osler.api.fhir.references import local_references, relative
from osler.api.fhir.subscriptions import ended, subscribed
from osler.api.fhir.verifying import verified
from osler.api.forms import parse_pairs
from osler.api.guard import Caller
from osler.api.services import Services
from osler.audit import AuditRecord
from osler.domain.reach import EVERYTHING, NO_PATIENT, Part, Reach
from osler.errors import (
    AccessDenied,
    Conflict,
    Gone,
    InvalidResource,
    Malformed,
    NotFound,
    OslerError,
    PreconditionFailed,
    Unprocessable,
)
from osler.standards import fhir
from osler.standards.fhir import Issue, Resource
from osler.standards.fhir_query import parse_query
from osler.standards.json_patch import apply_patch
from osler.storage.stored import Stored, within

RIGHTS: Final = {"POST": "c", "PUT": "u", "PATCH": "u", "DELETE": "d"}
"""Letter of ``cruds`` that a method needs."""
EVENTS: Final = {
    "POST": "resource-created",
    "PUT": "resource-updated",
    "PATCH": "resource-patched",
    "DELETE": "resource-deleted",
}
"""Audit event of a method."""
_ASKING: Final = frozenset({"test", "copy", "move"})
"""Operations of a patch whose outcome tells what is there."""
_FAULTS: Final = frozenset({"fatal", "error"})


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a client asks for.

    Parameters
    ----------
    method : {"POST", "PUT", "PATCH", "DELETE"}
    type : str
        Resource type.
    id : str
        Logical id; for POST the one that is to be given, or empty for a new one.
    criteria : str or None
        Search that chooses the resource: of ``If-None-Exist``, or of the URL.
    resource : dict or None
        For POST and PUT.
    patch : tuple of dict
        Operations of a JSON Patch.
    if_match : str
        ``If-Match``; empty for none.
    if_none_match : str
        ``If-None-Match``; empty for none.
    place : str
        FHIRPath of the resource in what was sent, when it is not the whole of it.
    """

    method: str
    type: str
    id: str = ""
    criteria: str | None = None
    resource: Resource | None = None
    patch: tuple[Resource, ...] = ()
    if_match: str = ""
    if_none_match: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change.

    Parameters
    ----------
    status : int
        As HTTP says it.
    stored : Stored or None
        The version that now holds.
    shown : bool
        Whether its content may be given back: a patch shows more than its author knew.
    """

    status: int
    stored: Stored | None
    shown: bool = True


@dataclass(frozen=True, slots=True)
class _Reference:
    """A reference that a change makes: its place, how far the change may reach, and the version that it replaces."""

    place: str
    reach: Reach
    held: Stored | None


def require_rights(caller: Caller, change: Change) -> None:
    """Let pass a change that the caller's scopes allow for some resources of the type at least.

    Raises
    ------
    AccessDenied
        If they do not; a search that chooses the resource needs the right to search besides.
    """
    caller.require(change.type, RIGHTS[change.method])
    if change.criteria is not None:
        caller.require(change.type, "s")


def require_valid(resource: Resource, error: type[InvalidResource] = InvalidResource) -> None:
    """Let pass a resource that keeps the R4 definitions.

    Raises
    ------
    InvalidResource
        With all that is wrong with it.
    """
    issues = tuple(issue for issue in fhir.validate(resource) if issue.severity in _FAULTS)
    if issues:
        raise error("the resource breaks the R4 definitions", issues)


@dataclass(slots=True)
class Changing:
    """Some changes inside one transaction: ``apply`` for each, then ``settle``.

    Parameters
    ----------
    services : Services
    caller : Caller
    connection : Connection
        Inside ``Database.write``.
    records : list of AuditRecord
        What ``settle`` writes down.
    """

    services: Services
    caller: Caller
    connection: Connection
    records: list[AuditRecord] = field(default_factory=list)
    _wanted: dict[tuple[str, str], _Reference] = field(default_factory=dict)
    _kept: set[tuple[str, str]] = field(default_factory=set)
    _deleted: list[tuple[str, str]] = field(default_factory=list)

    def apply(self, change: Change) -> Done:
        """Do one change.

        Raises
        ------
        AccessDenied
            If what is there, or what is to be, lies outside of the caller's reach.
        NotFound, Gone
            If there is nothing to patch, or the caller may not know of it.
        PreconditionFailed
            If another version holds than ``If-Match`` names, or criteria choose more than one resource.
        InvalidResource, Unprocessable
            If the ids contradict each other, or a patch cannot be applied.
        """
        resolved = self.resolve(change)
        if isinstance(resolved, Stored):
            return self.met(resolved)
        done = self._act(resolved)
        self._note(EVENTS[change.method], change.type, done.stored)
        return done

    def met(self, stored: Stored) -> Done:
        """Note that what a conditional create asks for was there before."""
        self._note("resource-read", stored.type, stored)
        return Done(200, stored)

    def _note(self, event: str, type_name: str, stored: Stored | None) -> None:
        self.records.append(
            AuditRecord(
                event=event,
                agent=self.caller.agent,
                patient=stored.patient if stored else None,
                entities=(f"{stored.reference}/_history/{stored.version}",) if stored else (),
                detail={} if stored else {"type": type_name},
            )
        )

    def settle(self) -> None:
        """Check what holds only for all changes together, and write them down.

        Raises
        ------
        Unprocessable
            If a reference names a resource of ours that is not there, as far as the caller may know.
        Conflict
            If something refers to what was deleted.
        """
        if self.services.check_references:
            missing = set(self._missing())
            if missing:
                words = "there is no such resource here"
                issues = (Issue("not-found", self._wanted[key].place, words) for key in sorted(missing))
                raise Unprocessable("a reference leads nowhere", tuple(issues))
            for type_name, logical_id in self._deleted:
                if self.services.resources.referring(self.connection, type_name, logical_id):
                    raise Conflict("another resource refers to the one that is to be deleted")
        self.services.audit.append(self.connection, *self.records)

    def _missing(self) -> Iterator[tuple[str, str]]:
        absent = self.services.resources.missing(self.connection, self._wanted)
        yield from (key for key, made in self._wanted.items() if key in absent or not self._known(key, made))

    def _known(self, key: tuple[str, str], made: _Reference) -> bool:
        """Tell whether the caller may know that a resource is there: what is out of reach is as good as missing."""
        reach = self.caller.reach(key[0], "r") + self.caller.reach(key[0], "s") or _around(made.reach)
        if key in self._kept or set(EVERYTHING) <= set(reach):
            return True
        target = self.services.resources.current(self.connection, *key)
        if target is not None and within(reach, target):
            return True
        before = () if made.held is None else local_references(fhir.loads(made.held.text))
        return any(key == (type_name, referred) for _, type_name, referred in before)

    def resolve(self, change: Change) -> Change | Stored:
        """Return a change whose resource is chosen, or the one that is there already for a conditional create.

        Raises
        ------
        PreconditionFailed
            If the criteria choose more than one.
        InvalidResource
            If the id in the resource is not that of the one that they choose.
        """
        found = None if change.criteria is None else self.find(change.type, change.criteria)
        given = (change.resource or {}).get("id", "")
        if change.method == "POST":
            return found or replace(change, id=change.id or str(uuid.uuid4()), criteria=None)
        if change.criteria is None:
            return change
        if change.method == "PUT":
            if found and given not in ("", found.id):
                raise InvalidResource("the id in the resource is not that of the one that the criteria choose")
            return replace(change, id=found.id if found else given or str(uuid.uuid4()), criteria=None)
        return replace(change, id=found.id if found else "", criteria=None)

    def find(self, type_name: str, criteria: str) -> Stored | None:
        """Return the one resource that criteria choose, or None.

        Raises
        ------
        PreconditionFailed
            If there are more.
        Malformed
            If the criteria are none, or one of them is not known.
        """
        now = self.services.tokens.clock()
        pairs = parse_pairs(criteria.removeprefix(type_name).removeprefix("?"))
        query = parse_query(type_name, pairs, now=now, base=self.services.fhir_base, strict=True)
        if not query.conditions:
            raise Malformed("the criteria name no search parameter")
        query = replace(query, count=2, total="none")
        found = self.services.search.search_in(self.connection, query, self.caller.reach).matches
        if len(found) > 1:
            raise PreconditionFailed("the criteria choose more than one resource")
        return found[0] if found else None

    def _act(self, change: Change) -> Done:
        held = self._held(change)
        if change.method == "DELETE":
            if held is None or held.deleted:
                return Done(204, None)
            self._deleted.append((held.type, held.id))
            if held.type == "Subscription":
                ended(self.services.subscriptions, self.connection, held.id)
            return Done(204, self.services.resources.delete(self.connection, held))
        if change.method == "PATCH":
            asks = any(operation["op"] in _ASKING for operation in change.patch)
            if held is not None and asks and not within(self.caller.reach(change.type, "r"), held):
                raise AccessDenied("a patch that tests, copies or moves needs the right to read")
            return self._keep(change, _patched(change, held), held)
        return self._keep(change, (change.resource or {}) | {"id": change.id}, held)

    def _held(self, change: Change) -> Stored | None:
        """Return what is to be replaced, when the caller may and its version is the one that was meant."""
        if change.method == "POST":
            return None
        held = self.services.resources.held(self.connection, change.type, change.id)
        if held is not None and not within(self.caller.reach(change.type, RIGHTS[change.method]), held):
            if within(self.caller.reach(change.type, "r"), held):
                raise AccessDenied("the scope of the access token does not allow this for this resource")
            check_match(change.if_match, None)  # as if there were none
            raise NotFound("there is no such resource")
        check_match(change.if_match, held)
        check_none_match(change.if_none_match, held)
        if held is None and change.method == "DELETE" and change.id and not self._sees_all(change):
            raise NotFound("there is no such resource")  # the same answer as for one that is out of reach
        return held

    def _sees_all(self, change: Change) -> bool:
        return set(EVERYTHING) <= set(self.caller.reach(change.type, RIGHTS[change.method]))

    def _keep(self, change: Change, resource: Resource, held: Stored | None) -> Done:
        resource = relative(resource, self.services.fhir_base)
        if change.type == "Subscription":
            resource = subscribed(self.services, self.caller, self.connection, resource)
        saved = self.services.resources.save(self.connection, resource, held, method=change.method)
        reach = self.caller.reach(change.type, RIGHTS[change.method])
        if not within(reach, saved):
            raise AccessDenied("the scope of the access token does not allow a resource like this")
        if held is not None and not held.deleted:
            self.records += verified(self.services, self.caller, self.connection, held=held, saved=saved)
        for expression, type_name, referred in local_references(resource):
            place = (change.place or change.type) + expression
            self._wanted.setdefault((type_name, referred), _Reference(place, reach, held))
        self._kept.add((saved.type, saved.id))
        shown = change.method != "PATCH" or within(self.caller.reach(change.type, "r"), saved)
        return Done(201 if held is None or held.deleted else 200, saved, shown)


def _around(reach: Reach) -> Reach:
    """Return what may be referred to by who sees nothing of a type: what is of the same patients, or of none."""
    patients = {(patient, part.restricted) for part in reach for patient in {part.patient, part.patient and NO_PATIENT}}
    return tuple(Part(patient=patient, restricted=restricted) for patient, restricted in patients)


def _patched(change: Change, held: Stored | None) -> Resource:
    if held is None:
        raise NotFound("there is no such resource")
    if held.deleted:
        raise Gone("the resource has been deleted")
    patched = apply_patch(fhir.loads(held.text), change.patch)
    if patched.get("resourceType") != held.type or patched.get("id") != held.id:
        raise Unprocessable("a patch cannot change the type or the id of a resource")
    require_valid(patched, Unprocessable)
    return patched


def refused(caller: Caller, change: Change, error: OslerError) -> AuditRecord:
    """Return the record of a change that was not made."""
    detail = {"type": change.type, "reason": type(error).__name__}
    return AuditRecord(event=EVENTS[change.method], agent=caller.agent, outcome=4, detail=detail)
