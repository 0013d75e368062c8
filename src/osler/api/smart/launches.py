"""EHR launches: an opaque handle that an EHR gives an app, and the context that it stands for.

References
----------
SMART App Launch 2.2, EHR launch flow
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import Connection, select, update

from osler.api.services import Audit
from osler.api.smart.context import LaunchContext
from osler.api.smart.secret_values import hash_of, new_secret
from osler.audit import Agent, AuditRecord
from osler.errors import InputRejected, NotFound
from osler.storage.database import Database
from osler.storage.resources import ResourceStore
from osler.storage.tables import launch

LAUNCH_S: Final = 300.0
"""How long a handle holds, seconds."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What a handle stands for; ``person`` is the only one who may use it, or None for whoever signs in."""

    client_id: str
    person: str | None
    context: LaunchContext


class RecordStores(Protocol):
    """Where patients are, and where it is written down who began what."""

    @property
    def database(self) -> Database:
        """Where launches are kept."""

    @property
    def resources(self) -> ResourceStore:
        """The record."""

    @property
    def audit(self) -> Audit:
        """Where it is written down."""


class LaunchStore:
    """Keeps launches that have begun."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, connection: Connection, begun: Launch, *, now: float) -> str:
        """Keep a launch, within the caller's transaction, and return its handle.

        Raises
        ------
        InputRejected
            If the context could be none.
        """
        begun.context.check()
        handle = new_secret()
        row: Mapping[str, Any] = {
            "hash": hash_of(handle),
            "client_id": begun.client_id,
            "person": begun.person,
            "context": begun.context.dumps(),
            "expires_at": now + LAUNCH_S,
            "used": False,
        }
        connection.execute(launch.insert(), row)
        return handle

    def find(self, handle: str, *, client_id: str, person: str, now: float) -> LaunchContext | None:
        """Return the context of a handle that this client may use for this person now, or None."""
        statement = select(launch).where(
            launch.c.hash == hash_of(handle), launch.c.client_id == client_id, launch.c.expires_at > now, ~launch.c.used
        )
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None or row.person not in (None, person):
            return None
        return LaunchContext.loads(row.context)

    def use(self, connection: Connection, handle: str) -> bool:
        """Use a handle up; False when it was used before."""
        mine = (launch.c.hash == hash_of(handle)) & ~launch.c.used
        return connection.execute(update(launch).where(mine).values(used=True)).rowcount == 1


def prepare(connection: Connection, stores: RecordStores, begun: Launch, *, agent: Agent, now: float) -> str:
    """Begin a launch whose patient and encounter are in the record, and write it down; return its handle.

    Within the caller's transaction.

    Raises
    ------
    InputRejected
        If the context could be none, or the encounter is not one of the patient.
    NotFound
        If there is no such patient or encounter.
    """
    context = begun.context
    context.check()
    if begun.person is not None and not begun.person.isprintable():
        raise InputRejected("the person is not the name of anybody")
    for type_name, logical_id in (("Patient", context.patient), ("Encounter", context.encounter)):
        if logical_id is None:
            continue
        held = stores.resources.current(connection, type_name, logical_id)
        if held is None:
            raise NotFound(f"there is no {type_name} of that id")
        if held.patient != context.patient:
            raise InputRejected("the encounter is not one of this patient")
    handle = LaunchStore(stores.database).begin(connection, begun, now=now)
    client = f"client:{begun.client_id}"
    stores.audit.append(
        connection, AuditRecord("launch-created", agent=agent, patient=context.patient, entities=(client,))
    )
    return handle


def launch_url(launch_uri: str, *, fhir_base: str, handle: str) -> str:
    """Return the address that starts an app: its launch URI with ``iss`` and ``launch``."""
    parts = urlsplit(launch_uri)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in ("iss", "launch")]
    query = urlencode([*kept, ("iss", fhir_base), ("launch", handle)])
    return urlunsplit(parts._replace(query=query))
