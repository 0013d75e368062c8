"""``osler user add|list|disable`` and ``osler client add|list|disable``."""

import getpass
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from osler.api.access import ClientStore, Role, UserStore
from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit
from osler.errors import ConfigError

_SHORTEST_SECRET = 8  # NIST SP 800-63B 5.1.1.1


def add_commands(app: typer.Typer) -> None:
    """Add the groups."""
    users = typer.Typer(help="People who may sign in.", no_args_is_help=True)
    users.command("add")(add_user)
    users.command("list")(list_users)
    users.command("disable")(disable_user)
    app.add_typer(users, name="user")
    clients = typer.Typer(help="Programs that may call the API.", no_args_is_help=True)
    clients.command("add")(add_client)
    clients.command("list")(list_clients)
    clients.command("disable")(disable_client)
    app.add_typer(clients, name="client")


def add_user(
    ctx: typer.Context,
    name: str,
    role: Annotated[Role, typer.Option(help="What the person may do.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add a person."""
    caller: Caller = ctx.obj
    password = read_secret("Password", from_stdin=password_stdin)
    with caller.stores(data_dir) as stores:
        UserStore(stores.database).add(name, role, password)
        stores.audit.record(
            AuditRecord(
                event="user-added",
                outcome=0,
                agent=caller.agent,
                entities=(f"user:{name}",),
                detail={"role": role.value},
            )
        )
    emit({"name": name, "role": role.value}, as_json, lambda c: c.print(f"added {name} as {role.value}"))


def list_users(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List people with their roles."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        people = UserStore(stores.database).list()
    rows = [{"name": p.name, "role": str(p.role), "disabled": p.disabled} for p in people]

    def draw(console: Console) -> None:
        for r in rows:
            console.print(f"{r['name']}  {r['role']}{'  disabled' if r['disabled'] else ''}")

    emit(rows, as_json, draw)


def disable_user(ctx: typer.Context, name: str, data_dir: DataDir = None) -> None:
    """Shut a person out."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        UserStore(stores.database).disable(name)
        stores.audit.record(
            AuditRecord(event="user-disabled", outcome=0, agent=caller.agent, entities=(f"user:{name}",))
        )


def add_client(
    ctx: typer.Context,
    name: str,
    scope: Annotated[str, typer.Option(help='Scopes it may ask for, e.g. "system/*.rs".')],
    jwks: Annotated[
        Path | None, typer.Option(help="Its public keys (JWKS file), for private_key_jwt.", exists=True)
    ] = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read its secret from standard input.")] = False,
    redirect_uri: Annotated[
        list[str] | None, typer.Option("--redirect-uri", help="Where it may be sent back to.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="It cannot keep a secret.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add a program; prints its client_id."""
    caller: Caller = ctx.obj
    secret = read_secret("Secret", from_stdin=True) if secret_stdin else None
    keys = _read_jwks(jwks) if jwks else None
    with caller.stores(data_dir) as stores:
        client_id = ClientStore(stores.database).add(
            name, scope, jwks=keys, secret=secret, redirect_uris=tuple(redirect_uri or ()), public=public
        )
        stores.audit.record(
            AuditRecord(
                event="client-added",
                outcome=0,
                agent=caller.agent,
                entities=(f"client:{client_id}",),
                detail={"scope": scope},
            )
        )
    emit({"client_id": client_id, "name": name, "scope": scope}, as_json, lambda c: c.print(f"client_id: {client_id}"))


def list_clients(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List programs with their scopes."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        found = ClientStore(stores.database).list()
    rows = [{"client_id": c.id, "name": c.name, "scope": c.scope, "disabled": c.disabled} for c in found]

    def draw(console: Console) -> None:
        for r in rows:
            console.print(f"{r['client_id']}  {r['name']}  {r['scope']}{'  disabled' if r['disabled'] else ''}")

    emit(rows, as_json, draw)


def disable_client(ctx: typer.Context, client_id: str, data_dir: DataDir = None) -> None:
    """Shut a program out; its tokens end at once."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        ClientStore(stores.database).disable(client_id)
        stores.audit.record(
            AuditRecord(event="client-disabled", outcome=0, agent=caller.agent, entities=(f"client:{client_id}",))
        )


def read_secret(what: str, *, from_stdin: bool) -> str:
    """Read a secret from standard input, or ask for it twice on the terminal."""
    if from_stdin:
        secret = sys.stdin.readline().rstrip("\n")
    else:
        secret = getpass.getpass(f"{what}: ")
        if getpass.getpass("Again: ") != secret:
            raise ConfigError("the two are not the same")
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigError(f"{what.lower()}: {_SHORTEST_SECRET} characters or more, please")
    return secret


def _read_jwks(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    try:
        document = json.loads(text)
        keys = document["keys"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"{path} is not a JWKS: it needs an object with a list called keys") from None
    if any("d" in key or key.get("kty") == "oct" for key in keys):
        raise ConfigError(f"{path} holds a private or symmetric key; give the public keys only")
    return text
