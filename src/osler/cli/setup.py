"""``osler init`` and ``osler doctor``."""

import secrets
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from osler.api.people.accounts import Accounts
from osler.api.people.roles import Role
from osler.api.people.store import UserStore
from osler.cli.caller import Caller, ConfigFile, DataDir, Json, emit
from osler.cli.user import new_password
from osler.hub.doctor import examine
from osler.hub.opening import create_data_dir, signing_key_file


def add_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(init)
    app.command()(doctor)


def init(
    ctx: typer.Context,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    admin: Annotated[str, typer.Option(help="Name of the first administrator.")] = "admin",
    password_stdin: Annotated[
        bool, typer.Option("--admin-password-stdin", help="Read the administrator's password from standard input.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a data folder: keys, database, first administrator. What is there already is left as it is.

    The database of an older program is copied beside itself, then brought on.
    """
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config)
    given = None
    if password_stdin and not signing_key_file(settings.data_dir).exists():
        given = new_password(admin, from_stdin=True)  # before anything is made: a refused one leaves nothing behind
    upgraded = create_data_dir(settings, caller.environ)
    password, shown = None, None
    with caller.stores(settings.data_dir, config) as stores:
        people = UserStore(stores.database)
        if not people.list():
            shown = None if password_stdin else secrets.token_urlsafe(15)
            password = shown or given or new_password(admin, from_stdin=True)
            accounts = Accounts(people, stores.resources.put, stores.audit)
            accounts.add(admin, Role.ADMINISTRATOR, password, by=caller.agent)
    document: dict[str, Any] = {"data_dir": str(settings.data_dir), "created": password is not None}
    if upgraded is not None:
        copy = None if upgraded.copy is None else str(upgraded.copy)
        document["database"] = {"before": upgraded.before, "after": upgraded.after, "copy": copy}
    if password is not None:
        document["admin"] = admin
    if shown is not None:
        document["password"] = shown

    emit(document, as_json, lambda console: _draw(console, document))


def _draw(console: Console, made: dict[str, Any]) -> None:
    upgraded = made.get("database")
    console.print(f"data folder: {made['data_dir']}")
    if "password" in made:
        console.print(f"administrator: {made['admin']}  password: {made['password']}  (shown this once)")
    if upgraded is not None:
        console.print(f"database: brought from revision {upgraded['before']} to {upgraded['after']}")
        if upgraded["copy"] is not None:
            console.print(f"as it was before: {upgraded['copy']}", markup=False, soft_wrap=True)
    elif not made["created"]:
        console.print("it was there already; nothing was changed")
    console.print(f"next: osler serve --data-dir {made['data_dir']}")


def doctor(ctx: typer.Context, data_dir: DataDir = None, config: ConfigFile = None, as_json: Json = False) -> None:
    """Examine keys, database, disk, sandbox, models and destinations, and say what to do about each."""
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config)
    checks = list(examine(settings, caller.environ))

    def draw(console: Console) -> None:
        for c in checks:
            console.print(f"{_MARK[c.state]} {c.name}: {c.words}", markup=False)

    emit([{"name": c.name, "state": c.state, "words": c.words} for c in checks], as_json, draw)
    if any(c.state == "wrong" for c in checks):
        sys.stdout.flush()
        raise typer.Exit(1)


_MARK = {"ok": "ok   ", "warn": "note ", "wrong": "WRONG"}
