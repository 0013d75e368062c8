"""Who saw a patient, and what of the patient left the hub: the log, summed up for one patient.

References
----------
45 CFR 164.528 (accounting of disclosures)
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, select

from osler.storage.tables import audit_event, patient_merge

_NOTHING_SEEN: Final = frozenset(
    {
        "study-received", "study-complete", "message-received", "message-refused", "patients-merged",
        "token-issued", "access-granted", "access-refused", "launch-created",
        "glass-broken", "glass-told", "glass-reviewed",
        "audit-searched", "disclosures-listed",
        "cds-feedback", "alert-acknowledged",
    }
)  # fmt: skip
"""Events about a patient that show nobody anything of the patient. What no line names has shown something."""

_NOTHING_GIVEN: Final = frozenset({"resource-created", "resource-updated", "resource-deleted"})
"""Events in which a client gives and gets no more than it gave."""

_PURPOSES: Final = {
    "result-disclosed": "a model's result, delivered to a destination of the configuration",
    "alert-raised": "the alert of a critical finding",
    "patient-exported": "a bulk export that the client asked for",
    "cds-called": "decision support that the client asked for",
    "subscriber-told": "a notification that the client subscribed to",
}
_READ: Final = "read through the FHIR interface by the client, acting for itself"
_SENT: Final = "sent to a system that is registered for it"
_PAGE: Final = 2000


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who saw or got something.

    Parameters
    ----------
    kind : str
        ``person``, ``client`` or ``peer``.
    name : str
        User name, client id, name of the destination.
    via : str
        Id of the client through which a person acted; empty for none.
    """

    kind: str
    name: str
    via: str = ""


@dataclass(slots=True)
class Sighting:
    """All that one party saw of a patient.

    Parameters
    ----------
    party : Party
    first_at, last_at : float
        Seconds since the epoch, UTC.
    count : int
        Entries of the log.
    events : dict of str to int
        How many of each event.
    """

    party: Party
    first_at: float
    last_at: float
    count: int = 0
    events: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Disclosure:
    """What one party outside got of a patient, for one purpose (45 CFR 164.528(b)(2), (b)(3)).

    Parameters
    ----------
    party : Party
    event : str
        How.
    purpose : str
        What for, in words.
    first_at, last_at : float
        Seconds since the epoch, UTC.
    count : int
    address : str
        Network address, as far as it is known.
    what : dict of str to int
        Resource types, or kinds of what was sent, each with how often.
    """

    party: Party
    event: str
    purpose: str
    first_at: float
    last_at: float
    count: int = 0
    address: str = ""
    what: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Shown:
    """One entry that shows something."""

    at: float
    event: str
    party: Party
    address: str
    outside: bool
    what: tuple[str, ...]


def known_as(connection: Connection, patient: str) -> tuple[str, ...]:
    """Return a patient's logical id, those of all patients that were merged with it, and no other."""
    merges = patient_merge.c
    survivor = connection.execute(select(merges.survivor).where(merges.patient == patient)).scalar_one_or_none()
    survivor = patient if survivor is None else survivor
    merged = connection.execute(select(merges.patient).where(merges.survivor == survivor)).scalars()
    return tuple(dict.fromkeys((survivor, *sorted(merged), patient)))


def who_saw(
    connection: Connection, patients: Sequence[str], *, since: float | None = None, until: float | None = None
) -> list[Sighting]:
    """Return who saw a patient, the latest first.

    Parameters
    ----------
    connection : Connection
    patients : sequence of str
        Logical ids of the one patient (see :func:`known_as`).
    since, until : float, optional
        Seconds since the epoch, UTC; from ``since`` to before ``until``.
    """
    found: dict[Party, Sighting] = {}
    for shown in _shown(connection, patients, since, until):
        one = found.setdefault(shown.party, Sighting(shown.party, shown.at, shown.at))
        one.first_at, one.last_at = min(one.first_at, shown.at), max(one.last_at, shown.at)
        one.count += 1
        one.events[shown.event] = one.events.get(shown.event, 0) + 1
    return sorted(found.values(), key=lambda one: (-one.last_at, one.party.name))


def disclosures(
    connection: Connection, patients: Sequence[str], *, since: float | None = None, until: float | None = None
) -> list[Disclosure]:
    """Return what of a patient went to parties outside, the earliest first.

    Outside are the destinations of the configuration, subscribers, and clients that act for themselves. A person who
    signed in is of the hub's own workforce. Parameters as :func:`who_saw`.
    """
    found: dict[tuple[Party, str], Disclosure] = {}
    for shown in _shown(connection, patients, since, until):
        if not shown.outside:
            continue
        purpose = _PURPOSES.get(shown.event, _READ if shown.party.kind == "client" else _SENT)
        one = found.setdefault(
            (shown.party, shown.event), Disclosure(shown.party, shown.event, purpose, shown.at, shown.at)
        )
        one.first_at, one.last_at = min(one.first_at, shown.at), max(one.last_at, shown.at)
        one.count += 1
        one.address = shown.address or one.address
        for name in shown.what:
            one.what[name] = one.what.get(name, 0) + 1
    return sorted(found.values(), key=lambda one: (one.first_at, one.party.name, one.event))


def _shown(
    connection: Connection, patients: Sequence[str], since: float | None, until: float | None
) -> Iterator[_Shown]:
    column = audit_event.c
    query = select(column.seq, column.recorded_at, column.kind, column.patient, column.body).where(
        column.patient.in_(patients), column.outcome == "0", column.kind.not_in(sorted(_NOTHING_SEEN))
    )
    if since is not None:
        query = query.where(column.recorded_at >= since)
    if until is not None:
        query = query.where(column.recorded_at < until)
    with connection.execution_options(yield_per=_PAGE).execute(query) as rows:
        for row in rows:
            shown = _read(row.recorded_at, row.kind, json.loads(row.body))
            if shown is not None:
                yield shown


def _read(at: float, event: str, resource: dict[str, Any]) -> _Shown | None:
    """Return who saw something by an entry; None for the hub itself."""
    agents = [(agent, agent["who"].get("identifier", {})) for agent in resource["agent"]]
    sent = not agents[0][1]  # the hub comes first when it sends
    agent, identifier = agents[1] if sent and len(agents) > 1 else agents[0]
    kind = identifier.get("system", "").removeprefix("urn:osler:")
    if kind not in ("person", "client", "peer"):
        return None
    via = ""
    if kind == "person" and len(agents) > 1 and agents[1][1].get("system") == "urn:osler:client":
        via = agents[1][1]["value"]
    outside = sent or (kind == "client" and event not in _NOTHING_GIVEN)
    party = Party(kind, identifier["value"], via)
    return _Shown(at, event, party, agent.get("network", {}).get("address", ""), outside, tuple(_what(resource)))


def _what(resource: dict[str, Any]) -> Iterator[str]:
    """Yield the type of each thing that an entry names, but the patient as whom it is about."""
    for entity in resource.get("entity", ()):
        what = entity.get("what", {})
        if "reference" in what and entity.get("role", {}).get("code") != "1":
            yield what["reference"].partition("/")[0]
        elif what.get("identifier", {}).get("system", "").startswith("urn:osler:") and "reference" not in what:
            yield what["identifier"]["system"].removeprefix("urn:osler:")
        elif "identifier" in what:
            yield what["identifier"].get("type", {}).get("text", "study")
