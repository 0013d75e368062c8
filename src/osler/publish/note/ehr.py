"""A signed note at an EHR's FHIR server: each resource created once, with its own state.

Before anything is created it is searched for by our identifier, and created on the condition that none has it: an
answer that was lost, and a server that does not know conditional create, make no second one. What refers to a
resource of ours refers to the EHR's own; what refers to one that the EHR does not have says its name, or goes.

==============================  ==========================================  ==========
answer                          meaning                                     state
==============================  ==========================================  ==========
200, 201                        it is there                                 created
found by the search             an earlier attempt has made it              present
4xx, 501                        refused; its issue codes are the reason     refused
408, 425, 429, 5xx, no answer   not now                                     waiting
==============================  ==========================================  ==========

References
----------
HL7 FHIR R4 4.0.1, 3.1.0.8.2 (conditional create), 3.1.0.4 (update), 3.1.0.5 (If-Match), 2.3.0 (Reference)
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

from osler.domain.states import DeliveryState
from osler.errors import DeliveryRefused, InputRejected, PeerUnavailable
from osler.publish.note.ehr_references import criteria, patient_of, placed
from osler.standards.fhir import Resource, dumps, loads

_JSON: Final = {"accept": "application/fhir+json"}
_BUSY: Final = frozenset({408, 425, 429, 502, 503, 504})
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_MADE: Final = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,63}/[A-Za-z0-9.-]{1,64})(?:/_history/[^/?#]*)?")
_CODE: Final = re.compile(r"[a-z][a-z-]{1,30}")
_MOST_CODES: Final = 5


class ItemState(StrEnum):
    """Where one resource of a note stands at the EHR."""

    CREATED = "created"
    PRESENT = "present"
    CHANGED = "changed"
    REFUSED = "refused"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a FHIR server answered; ``location`` and ``etag`` are empty when it gave none."""

    status: int
    location: str = ""
    etag: str = ""
    content: bytes = b""


class FhirServer(Protocol):
    """The EHR's FHIR server, as we speak to it."""

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], content: str = "") -> Answer:
        """Send one request, once.

        Raises
        ------
        PeerUnavailable
            If no answer comes; what was asked for may have happened.
        DeliveryRefused
            If the server may not be asked, or does not take our token.
        """
        ...


@dataclass(frozen=True, slots=True, repr=False)
class Outgoing:
    """A resource that is to be at the EHR.

    Parameters
    ----------
    resource : dict
        With our logical id.
    change : callable or None
        Takes the EHR's copy and returns what it is to become: ``withdrawn`` or ``superseded``. None: it is created.
    """

    resource: Resource
    change: Callable[[Resource], Resource] | None = None

    @property
    def key(self) -> str:
        """``Type/id`` of ours."""
        return f"{self.resource['resourceType']}/{self.resource['id']}"


@dataclass(frozen=True, slots=True)
class ItemDelivery:
    """What became of one resource.

    Parameters
    ----------
    key : str
        ``Type/id`` of ours.
    state : ItemState
    reference : str
        ``Type/id`` at the EHR; empty when it is not there.
    reason : str
        Without any value from the data.
    """

    key: str
    state: ItemState
    reference: str = ""
    reason: str = ""


def deliver(outgoing: Sequence[Outgoing], server: FhirServer, places: Mapping[str, str]) -> tuple[ItemDelivery, ...]:
    """Bring the resources of a note to an EHR; what has arrived before is not sent again.

    Parameters
    ----------
    outgoing : sequence of Outgoing
        Each after those that it refers to.
    server : FhirServer
    places : mapping of str to str
        ``Type/id`` at the EHR by ``Type/id`` of ours: of the Patient, which must be there, of the Encounter and the
        Practitioners where they are known, and of what earlier attempts have brought.

    Returns
    -------
    tuple of ItemDelivery
        In the order of ``outgoing``.
    """
    known, found = dict(places), list[ItemDelivery]()
    visit = _Visit(server, known)
    for index, one in enumerate(outgoing):
        try:
            item = visit.change(one, one.change) if one.change else visit.create(one)
        except (PeerUnavailable, DeliveryRefused) as error:  # the server as a whole: the others would fare no better
            state = ItemState.WAITING if error.retryable else ItemState.REFUSED
            return (*found, *(ItemDelivery(other.key, state, reason=str(error)) for other in outgoing[index:]))
        if item.reference:
            known[one.key] = item.reference
        found.append(item)
    return tuple(found)


def state_of(items: Iterable[ItemDelivery]) -> DeliveryState:
    """Return where a whole note stands: pending while anything waits, failed when something was refused."""
    states = {item.state for item in items}
    if ItemState.WAITING in states:
        return DeliveryState.PENDING
    return DeliveryState.FAILED if ItemState.REFUSED in states else DeliveryState.DELIVERED


class _Visit:
    """One attempt to bring all of a note."""

    def __init__(self, server: FhirServer, known: Mapping[str, str]) -> None:
        self._server = server
        self._known = known

    def create(self, one: Outgoing) -> ItemDelivery:
        if one.key in self._known:
            return ItemDelivery(one.key, ItemState.PRESENT, self._known[one.key])
        resource = placed(one.resource, self._known)
        if resource is None:
            return ItemDelivery(one.key, ItemState.REFUSED, reason="what it refers to is not at the EHR")
        there = self._search(one, resource)
        if there is not None:
            return there
        headers = _JSON | {"content-type": _JSON["accept"], "if-none-exist": criteria(resource)}
        headers["prefer"] = "return=minimal"
        answer = self._ask("POST", resource["resourceType"], headers, dumps(resource))
        if not 200 <= answer.status < 300:
            return _failed(one, answer)
        made = _reference(answer, resource["resourceType"])
        if made:
            return ItemDelivery(one.key, ItemState.CREATED if answer.status == 201 else ItemState.PRESENT, made)
        silent = ItemDelivery(one.key, ItemState.WAITING, reason="the EHR does not say what it has made")
        return self._search(one, resource) or silent

    def change(self, one: Outgoing, change: Callable[[Resource], Resource]) -> ItemDelivery:
        """Change the EHR's own copy, and only the version that was read: what others changed there stays."""
        place = self._known.get(one.key)
        if place is None:
            return ItemDelivery(one.key, ItemState.PRESENT, reason="the EHR never had it")
        read = self._ask("GET", place, _JSON)
        if not 200 <= read.status < 300:
            return _failed(one, read)
        held = _resource(read)
        if f"{held.get('resourceType')}/{held.get('id')}" != place:
            return ItemDelivery(one.key, ItemState.REFUSED, reason="the EHR gives another resource than was asked for")
        changed = change(held)
        if changed == held:
            return ItemDelivery(one.key, ItemState.PRESENT, place)
        match = {"if-match": read.etag} if read.etag else {}
        answer = self._ask("PUT", place, _JSON | {"content-type": _JSON["accept"]} | match, dumps(changed))
        if answer.status in (409, 412):
            return ItemDelivery(one.key, ItemState.WAITING, place, "the EHR's copy changed in the meantime")
        return ItemDelivery(one.key, ItemState.CHANGED, place) if answer.status < 300 else _failed(one, answer)

    def _search(self, one: Outgoing, resource: Resource) -> ItemDelivery | None:
        """Return what an earlier attempt has made; None when there is none, or the EHR does not search for it."""
        kind = resource["resourceType"]
        answer = self._ask("GET", f"{kind}?{criteria(resource)}", _JSON)
        if answer.status >= 500 and answer.status != 501:
            return _failed(one, answer)
        if answer.status != 200:
            return None
        entries = _resource(answer).get("entry")
        matches = [e.get("resource") for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
        for match in matches:
            if isinstance(match, dict) and match.get("resourceType") == kind and _is_id(match.get("id")):
                if not self._is_of_the_patient(match, one):
                    reason = "the EHR has it under another patient"
                    return ItemDelivery(one.key, ItemState.REFUSED, reason=reason)
                return ItemDelivery(one.key, ItemState.PRESENT, f"{kind}/{match['id']}")
        return None

    def _is_of_the_patient(self, match: Resource, one: Outgoing) -> bool:
        ours, theirs = self._known.get(patient_of(one.resource), ""), patient_of(match)
        return not ours or theirs.split("/_history/")[0].endswith(ours)

    def _ask(self, method: str, path: str, headers: Mapping[str, str], content: str = "") -> Answer:
        answer = self._server.ask(method, path, headers=headers, content=content)
        if answer.status in _BUSY:
            raise PeerUnavailable(f"the EHR cannot answer now (HTTP {answer.status})")
        return answer


def _failed(one: Outgoing, answer: Answer) -> ItemDelivery:
    """Say why an answer is none: one of our words, its status, and the codes of its issues, never their text."""
    if answer.status >= 500 and answer.status != 501:
        return ItemDelivery(one.key, ItemState.WAITING, reason=f"the EHR fails over it (HTTP {answer.status})")
    said = ", ".join([f"HTTP {answer.status}", *_issue_codes(answer)])
    return ItemDelivery(one.key, ItemState.REFUSED, reason=f"the EHR refuses it ({said})")


def _issue_codes(answer: Answer) -> list[str]:
    issues = _resource(answer).get("issue")
    codes = [issue.get("code") for issue in issues if isinstance(issue, dict)] if isinstance(issues, list) else []
    return list(dict.fromkeys(c for c in codes if isinstance(c, str) and _CODE.fullmatch(c)))[:_MOST_CODES]


def _resource(answer: Answer) -> Resource:
    """Return the JSON object of an answer, an empty one when there is none."""
    try:
        return loads(answer.content) if answer.content else {}
    except InputRejected:
        return {}


def _reference(answer: Answer, kind: str) -> str:
    """Return ``Type/id`` of what an answer says it has made or found; empty when it does not say."""
    match = _MADE.fullmatch(answer.location.partition("?")[0])
    if match and match[1].startswith(f"{kind}/"):
        return match[1]
    made = _resource(answer)
    return f"{kind}/{made['id']}" if made.get("resourceType") == kind and _is_id(made.get("id")) else ""


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None
