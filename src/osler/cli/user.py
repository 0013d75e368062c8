"""``osler user add|list|disable|password|mfa``."""

import getpass
import re
import sys
from typing import Annotated

import typer
from sqlalchemy import Connection

from osler.api.people.accounts import Accounts
from osler.api.people.passwords import check_password
from osler.api.people.roles import Role
from osler.api.people.second_factor import SecondFactors
from osler.api.people.store import UserStore
from osler.api.people.waits import Waits
from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table
from osler.errors import ConfigError, InputRejected

_FHIR_USER = re.compile(r"(Practitioner|PractitionerRole)/[A-Za-z0-9\-.]{1,64}")

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from the first line of standard input.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    users = typer.Typer(help="People who may sign in.", no_args_is_help=True)
    users.command("add")(add_user)
    users.command("list")(list_users)
    users.command("disable")(disable_user)
    users.command("password")(change_password)
    users.command("mfa")(change_mfa)
    app.add_typer(users, name="user")


def add_user(
    ctx: typer.Context,
    name: str,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    password_stdin: PasswordStdin = False,
    fhir_user: Annotated[
        str | None,
        typer.Option("--fhir-user", help="The resource that stands for them, Practitioner/ID; else one is made."),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add a person."""
    caller: Caller = ctx.obj
    if fhir_user is not None and not _FHIR_USER.fullmatch(fhir_user):
        raise ConfigError("--fhir-user must be Practitioner/ID or PractitionerRole/ID")
    password = new_password(name, from_stdin=password_stdin)
    with caller.stores(data_dir) as stores:
        accounts = Accounts(UserStore(stores.database), stores.resources.put, stores.audit)
        person = accounts.add(name, role, password, by=caller.agent, fhir_user=fhir_user)
    document = {"name": name, "role": role.value, "fhir_user": person.fhir_user}
    emit(document, as_json, lambda c: c.print(f"added {name} as {role.value}: {person.fhir_user}", markup=False))


def list_users(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List people with their roles."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        people = UserStore(stores.database).list()
    rows = [
        {
            "name": p.name,
            "role": str(p.role),
            "disabled": p.disabled,
            "second_factor": p.second_factor,
            "external": p.subject is not None,
            "fhir_user": p.fhir_user,
        }
        for p in people
    ]
    emit_table(rows, as_json)


def disable_user(ctx: typer.Context, name: str, data_dir: DataDir = None) -> None:
    """Shut a person out; their sessions, and the tokens that apps hold in their name, end at once."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        record = AuditRecord("user-disabled", agent=caller.agent, entities=(f"user:{name}",))
        UserStore(stores.database).disable(name, within=lambda c: stores.audit.append(c, record))


def change_password(
    ctx: typer.Context, name: str, password_stdin: PasswordStdin = False, data_dir: DataDir = None
) -> None:
    """Give a person a new password; their sessions end, and what kept them waiting is forgotten."""
    caller: Caller = ctx.obj
    password = new_password(name, from_stdin=password_stdin)
    with caller.stores(data_dir) as stores:
        record = AuditRecord("password-changed", agent=caller.agent, entities=(f"user:{name}",))
        waits = Waits(stores.database)

        def within(connection: Connection) -> None:
            waits.forget(connection, name)
            stores.audit.append(connection, record)

        UserStore(stores.database).set_password(name, password, within=within)


def change_mfa(
    ctx: typer.Context,
    name: str,
    reset: Annotated[
        bool, typer.Option("--reset", help="Take the second factor away: the person enrols a new one.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Tell whether a person has a second factor, or take it away when they lost it."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        factors = SecondFactors(stores.database, sealer=stores.keyring.sealer("record"))
        if reset:
            record = AuditRecord("second-factor-reset", agent=caller.agent, entities=(f"user:{name}",))
            factors.reset(name, within=lambda c: stores.audit.append(c, record))
        state = factors.state(name)
    document = {"name": name, "second_factor": state.enrolled, "recovery_codes": state.recovery_codes}
    words = f"a second factor, {state.recovery_codes} recovery codes left" if state.enrolled else "no second factor"
    emit(document, as_json, lambda c: c.print(f"{name}: {words}", markup=False))


def new_password(name: str, *, from_stdin: bool) -> str:
    """Read a new password from standard input, or ask for it twice on the terminal.

    Raises
    ------
    ConfigError
        If the two are not the same, or others would guess it.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise ConfigError("the two are not the same")
    try:
        check_password(name, password)
    except InputRejected as error:
        raise ConfigError(str(error)) from None
    return password
