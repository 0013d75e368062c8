"""A new account: the person, the Practitioner that stands for them in FHIR, and the entry in the audit, or nothing."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Connection

from osler.api.people.roles import Role
from osler.api.people.store import Person, UserStore
from osler.audit import Agent, AuditRecord
from osler.standards.fhir import Resource


class Appends(Protocol):
    """The audit log."""

    def append(self, connection: Connection, *records: AuditRecord) -> None:
        """Add entries within the caller's transaction."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """Makes accounts.

    Parameters
    ----------
    users : UserStore
    put : callable
        Keeps a resource within a transaction.
    audit : Appends
    """

    users: UserStore
    put: Callable[[Connection, Resource], object]
    audit: Appends

    def add(
        self,
        name: str,
        role: Role,
        password: str | None,
        *,
        by: Agent,
        fhir_user: str | None = None,
        subject: str | None = None,
    ) -> Person:
        """Add a person; without ``fhir_user`` a new Practitioner of that name stands for them.

        Parameters
        ----------
        name : str
        role : Role
        password : str or None
            None for a person who signs in at an external identity provider.
        by : Agent
            Who gives the account.
        fhir_user : str, optional
            ``Practitioner/id`` of a resource that a feed keeps.
        subject : str, optional
            See :class:`Person`.

        Raises
        ------
        ConfigError
            If the name is taken, or cannot be a name.
        """
        made = None if fhir_user else _practitioner(name)
        reference = fhir_user or f"Practitioner/{made['id'] if made else ''}"
        record = AuditRecord(
            "user-added", agent=by, entities=(f"user:{name}", reference), detail={"role": Role(role).value}
        )

        def within(connection: Connection) -> None:
            if made is not None:
                self.put(connection, made)
            self.audit.append(connection, record)

        return self.users.add(name, role, password, fhir_user=reference, subject=subject, within=within)


def _practitioner(name: str) -> Resource:
    return {
        "resourceType": "Practitioner",
        "id": str(uuid.uuid4()),
        "identifier": [{"system": "urn:osler:person", "value": name}],
        "active": True,
        "name": [{"text": name}],
    }
