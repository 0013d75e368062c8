"""``osler client add|list|disable|launch``."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from osler.api.smart.clients import Client, ClientStore, Registration
from osler.api.smart.context import LaunchContext
from osler.api.smart.launches import LAUNCH_S, Launch, launch_url, prepare
from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table
from osler.errors import ConfigError, InputRejected, NotFound
from osler.stores import Stores

_SHORTEST_SECRET = 8  # NIST SP 800-63B 5.1.1.1


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    clients = typer.Typer(help="Programs that may call the API.", no_args_is_help=True)
    clients.command("add")(add_client)
    clients.command("list")(list_clients)
    clients.command("disable")(disable_client)
    clients.command("launch")(launch_client)
    app.add_typer(clients, name="client")


def add_client(
    ctx: typer.Context,
    name: str,
    scope: Annotated[
        str,
        typer.Option(help='Scopes it may ask for, e.g. "system/*.rs" or "launch/patient patient/*.rs".'),
    ],
    jwks: Annotated[
        Path | None, typer.Option(help="Its public keys (JWKS file), for private_key_jwt.", exists=True)
    ] = None,
    jwks_uri: Annotated[
        str | None, typer.Option("--jwks-uri", help="Where its public keys are, on a host of smart.jwks_hosts.")
    ] = None,
    secret_stdin: Annotated[bool, typer.Option("--secret-stdin", help="Read its secret from standard input.")] = False,
    redirect_uri: Annotated[
        list[str] | None, typer.Option("--redirect-uri", help="Where it may be sent back to.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="It cannot keep a secret.")] = False,
    launch_uri: Annotated[str | None, typer.Option("--launch-uri", help="Where an EHR launch starts it.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add a program; prints its client_id."""
    caller: Caller = ctx.obj
    registration = Registration(
        jwks=jwks.read_text(encoding="utf-8") if jwks else None,
        jwks_uri=jwks_uri,
        secret=_read_secret() if secret_stdin else None,
        redirect_uris=tuple(redirect_uri or ()),
        public=public,
        launch_uri=launch_uri,
    )
    with caller.stores(data_dir) as stores:
        client_id = ClientStore(stores.database).register(name, scope, registration)
        stores.audit.record(
            AuditRecord(
                event="client-added",
                agent=caller.agent,
                entities=(f"client:{client_id}",),
                detail={"scope": scope},
            )
        )
    document = {"client_id": client_id, "name": name, "scope": scope}
    emit(document, as_json, lambda c: c.print(f"client_id: {client_id}", markup=False))


def list_clients(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List programs with their scopes."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        found = ClientStore(stores.database).list()
    rows = [
        {"client_id": c.id, "name": c.name, "scope": c.scope, "proof": _proof(c), "disabled": c.disabled} for c in found
    ]
    emit_table(rows, as_json)


def disable_client(ctx: typer.Context, client_id: str, data_dir: DataDir = None) -> None:
    """Shut a program out; its tokens end at once."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        ClientStore(stores.database).disable(client_id)
        stores.audit.record(AuditRecord(event="client-disabled", agent=caller.agent, entities=(f"client:{client_id}",)))


def launch_client(
    ctx: typer.Context,
    client_id: str,
    patient: Annotated[str, typer.Option(help="Logical id of the Patient.")],
    encounter: Annotated[str | None, typer.Option(help="Logical id of the Encounter.")] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", help="A further resource in context, Type/id.")
    ] = None,
    intent: Annotated[str | None, typer.Option(help="What the app is to do.")] = None,
    banner: Annotated[
        bool | None, typer.Option("--banner/--no-banner", help="Whether the app must show whose record it is.")
    ] = None,
    style: Annotated[str | None, typer.Option(help="Address of the EHR's style (smart_style_url).")] = None,
    person: Annotated[str | None, typer.Option(help="The only person who may use it; else whoever signs in.")] = None,
    launch_uri: Annotated[str | None, typer.Option("--launch-uri", help="In place of the registered one.")] = None,
    base_url: Annotated[
        str | None, typer.Option("--base-url", help="Address of the hub, when it is not that of the settings.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Prepare an EHR launch of a program; prints the address that starts it, which holds for five minutes."""
    caller: Caller = ctx.obj
    base = (base_url or caller.config(data_dir).base_url).rstrip("/")
    launch_context = LaunchContext(
        patient=patient,
        encounter=encounter,
        fhir_context=tuple(context or ()),
        intent=intent,
        need_patient_banner=banner,
        smart_style_url=style,
    )
    with caller.stores(data_dir) as stores:
        client = _launchable(stores, client_id, launch_uri)
        handle = _begin(stores, caller, Launch(client_id, person, launch_context))
    iss = f"{base}/fhir/R4"
    url = launch_url(launch_uri or client.launch_uri or "", fhir_base=iss, handle=handle)
    document = {"launch_url": url, "iss": iss, "launch": handle, "expires_in": int(LAUNCH_S)}
    emit(document, as_json, lambda c: c.print(url, markup=False))


def _launchable(stores: Stores, client_id: str, launch_uri: str | None) -> Client:
    client = ClientStore(stores.database).find(client_id)
    if client is None:
        raise NotFound("there is no client of that id")
    if not (launch_uri or client.launch_uri):
        raise ConfigError("the client has no launch URI: register it with --launch-uri, or give --launch-uri here")
    return client


def _begin(stores: Stores, caller: Caller, begun: Launch) -> str:
    now = time.time()
    try:
        return stores.database.write(lambda c: prepare(c, stores, begun, agent=caller.agent, now=now))
    except InputRejected as error:
        raise ConfigError(str(error)) from None


def _proof(client: Client) -> str:
    if client.public:
        return "public"
    return "keys" if client.jwks or client.jwks_uri else "secret"


def _read_secret() -> str:
    secret = sys.stdin.readline().rstrip("\n")
    if len(secret) < _SHORTEST_SECRET:
        raise ConfigError(f"secret: {_SHORTEST_SECRET} characters or more, please")
    return secret
