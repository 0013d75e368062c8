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
    """Make a data folder: keys, database, first administrator. What is there already is left as it is."""
    caller: Caller = ctx.obj
    settings = caller.config(data_dir, config)
    given = None
    if password_stdin and not signing_key_file(settings.data_dir).exists():
        given = new_password(admin, from_stdin=True)  # before anything is made: a refused one leaves nothing behind
    create_data_dir(settings, caller.environ)
    password, shown = None, None
    with caller.stores(settings.data_dir, config) as stores:
        people = UserStore(stores.database)
        if not people.list():
            shown = None if password_stdin else secrets.token_urlsafe(15)
            password = shown or given or new_password(admin, from_stdin=True)
            accounts = Accounts(people, stores.resources.put, stores.audit)
            accounts.add(admin, Role.ADMINISTRATOR, password, by=caller.agent)
    document: dict[str, Any] = {"data_dir": str(settings.data_dir), "created": password is not None}
    if password is not None:
        document["admin"] = admin
    if shown is not None:
        document["password"] = shown

    def draw(console: Console) -> None:
        console.print(f"data folder: {settings.data_dir}")
        if shown is not None:
            console.print(f"administrator: {admin}  password: {shown}  (shown this once)")
        if password is None:
            console.print("it was there already; nothing was changed")
        console.print(f"next: osler serve --data-dir {settings.data_dir}")

    emit(document, as_json, draw)


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
