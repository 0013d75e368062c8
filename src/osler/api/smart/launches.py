"""EHR launches: an opaque handle that an EHR gives an app, and the context that it stands for.

References
----------
SMART App Launch 2.2, EHR launch flow
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sqlalchemy import Connection, select, update

from osler.api.smart.context import LaunchContext
from osler.api.smart.secret_values import hash_of, new_secret
from osler.storage.database import Database
from osler.storage.tables import launch

LAUNCH_S: Final = 300.0
"""How long a handle holds, seconds."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What a handle stands for; ``person`` is the only one who may use it, or None for whoever signs in."""

    client_id: str
    person: str | None
    context: LaunchContext


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


def launch_url(launch_uri: str, *, fhir_base: str, handle: str) -> str:
    """Return the address that starts an app: its launch URI with ``iss`` and ``launch``."""
    parts = urlsplit(launch_uri)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in ("iss", "launch")]
    query = urlencode([*kept, ("iss", fhir_base), ("launch", handle)])
    return urlunsplit(parts._replace(query=query))
