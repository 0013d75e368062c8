"""Accounts of people."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, delete, select, update

from osler.api.people.passwords import Passwords
from osler.api.people.roles import Role
from osler.errors import ConfigError, NotFound
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import access_grant, session, user

Change = Callable[[Connection], None]
"""What else happens in the same transaction, such as the audit's entry."""

_LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Person:
    """A person who may sign in.

    Parameters
    ----------
    name : str
    role : Role
    disabled : bool
    fhir_user : str or None
        Reference to the resource that stands for them, ``Practitioner/id``.
    subject : str or None
        At an external identity provider: its issuer, a blank, and its subject.
    second_factor : bool
        Whether a code is asked for besides the password.
    """

    name: str
    role: Role
    disabled: bool
    fhir_user: str | None = None
    subject: str | None = None
    second_factor: bool = False


class UserStore:
    """People and their passwords.

    Parameters
    ----------
    database : Database
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._passwords = Passwords()

    def add(
        self,
        name: str,
        role: Role,
        password: str | None,
        *,
        fhir_user: str | None = None,
        subject: str | None = None,
        within: Change | None = None,
    ) -> Person:
        """Add a person.

        Parameters
        ----------
        name : str
        role : Role
        password : str or None
            None for a person who signs in at an external identity provider.
        fhir_user, subject : str, optional
            As of :class:`Person`.
        within : callable, optional
            See :data:`Change`.

        Raises
        ------
        ConfigError
            If the name is taken, or cannot be a name.
        """
        if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable() or name != name.strip():
            raise ConfigError(f"a name has 1 to {_LONGEST_NAME} characters that print, and no blank at its ends")
        person = Person(name, Role(role), disabled=False, fhir_user=fhir_user, subject=subject)
        row = {
            "name": name,
            "role": person.role.value,
            "password_hash": self._passwords.hash(password) if password is not None else "",
            "disabled": False,
            "created_at": self._clock(),
            "fhir_user": fhir_user,
            "subject": subject,
        }

        def change(connection: Connection) -> None:
            if not insert_ignore(connection, user, [row]):
                raise ConfigError("there is a person of that name already")
            if within is not None:
                within(connection)

        self._database.write(change)
        return person

    def verify(self, name: str, password: str) -> Person | None:
        """Return the person when the password is right and the account is open, else None.

        Takes the same time for a name that is not known.
        """
        row = self._row(user.c.name == name) if name.isprintable() else None
        matches = self._passwords.match("" if row is None else row["password_hash"], password)
        return _person(row) if row is not None and matches else None

    def find(self, name: str) -> Person | None:
        """Return a person who is not disabled, or None."""
        row = self._row(user.c.name == name) if name.isprintable() else None
        return None if row is None else _person(row)

    def find_subject(self, subject: str) -> Person | None:
        """Return the person whom an external identity provider calls so, or None; disabled ones too."""
        with self._database.read() as connection:
            row = connection.execute(select(user).where(user.c.subject == subject)).mappings().one_or_none()
        return None if row is None else _person(row)

    def list(self) -> list[Person]:
        """Return all, by name."""
        with self._database.read() as connection:
            return [_person(row) for row in connection.execute(select(user).order_by(user.c.name)).mappings()]

    def disable(self, name: str, *, within: Change | None = None) -> None:
        """Shut a person out; their sessions, and the tokens that apps hold in their name, end at once.

        Raises
        ------
        NotFound
            If there is no such person.
        """
        self._change(name, {"disabled": True}, within)

    def set_password(self, name: str, password: str, *, within: Change | None = None) -> None:
        """Give a person a new password; their sessions and tokens end.

        Raises
        ------
        NotFound
            If there is no such person.
        """
        self._change(name, {"password_hash": self._passwords.hash(password)}, within)

    def set_role(self, name: str, role: Role, *, within: Change | None = None) -> None:
        """Give a person another role; their sessions and tokens end.

        Raises
        ------
        NotFound
            If there is no such person.
        """
        self._change(name, {"role": role.value}, within)

    def _change(self, name: str, values: dict[str, Any], within: Change | None) -> None:
        def change(connection: Connection) -> None:
            if not connection.execute(update(user).where(user.c.name == name).values(values)).rowcount:
                raise NotFound("there is nobody of that name")
            end_access(connection, name)
            if within is not None:
                within(connection)

        self._database.write(change)

    def _row(self, which: Any) -> RowMapping | None:
        with self._database.read() as connection:
            return connection.execute(select(user).where(which, ~user.c.disabled)).mappings().one_or_none()


def end_access(connection: Connection, name: str) -> None:
    """End a person's sessions, and what they let apps do in their name."""
    connection.execute(delete(session).where(session.c.person == name))
    connection.execute(update(access_grant).where(access_grant.c.person == name).values(revoked=True))


def _person(row: RowMapping) -> Person:
    return Person(
        name=row["name"],
        role=Role(row["role"]),
        disabled=row["disabled"],
        fhir_user=row["fhir_user"],
        subject=row["subject"],
        second_factor=row["totp_sealed"] is not None,
    )
