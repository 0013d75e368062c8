"""Who the person at the terminal is, and whether they may do this.

Without ``--as`` it is the operating system's account: whoever may read the data folder's keys may open everything that
they seal, and the audit names that account. With ``--as`` it is a person of ``osler user``, by password and role; the
setting ``access.sign_in`` demands it.
"""

import getpass
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from osler.api.people.roles import Role
from osler.api.people.store import UserStore
from osler.audit import Agent, AuditRecord
from osler.cli.caller import Caller
from osler.errors import AccessDenied, Unauthenticated
from osler.stores import Stores

As = Annotated[str | None, typer.Option("--as", help="Sign in as this person; asks for the password.")]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]

PRIVACY: Final = frozenset({Role.PRIVACY_OFFICER, Role.ADMINISTRATOR})
CARE: Final = PRIVACY | {Role.CLINICIAN, Role.RADIOLOGIST}


def admit(
    caller: Caller, stores: Stores, data_dir: Path | None, *, name: str | None, from_stdin: bool, roles: frozenset[Role]
) -> Agent:
    """Return who acts, or refuse, on record.

    Parameters
    ----------
    caller : Caller
    stores : Stores
    data_dir : Path or None
    name : str or None
        Of the person; None for the account of the operating system.
    from_stdin : bool
        Where the password comes from; else the terminal.
    roles : frozenset of Role
        Those that may.

    Raises
    ------
    Unauthenticated
        If the password is wrong, or a person must sign in and has not.
    AccessDenied
        If the person's role may not.
    """
    if name is None:
        if not caller.config(data_dir).flag("access.sign_in"):
            return caller.agent
        raise _denied(stores, caller.agent, Unauthenticated("sign in with --as NAME (access.sign_in is set)"))
    password = sys.stdin.readline().rstrip("\n") if from_stdin else getpass.getpass(f"Password of {name}: ")
    person = UserStore(stores.database).verify(name, password)
    if person is None:
        raise _denied(stores, caller.agent, Unauthenticated("there is no such person, or the password is not theirs"))
    agent = Agent(person.name, "person", caller.agent.address)
    if person.role not in roles:
        raise _denied(stores, agent, AccessDenied(f"this is for the roles {', '.join(sorted(roles))}"))
    return agent


def _denied(stores: Stores, agent: Agent, error: AccessDenied) -> AccessDenied:
    stores.audit.record(AuditRecord("access-denied", agent=agent, outcome=8, detail={"reason": str(error)}))
    stores.audit.checkpoint()
    return error
