"""``osler keys rotate`` and ``osler vault reveal``."""

from typing import Annotated

import typer

from osler.api.smart.signing import SigningKeys
from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit
from osler.errors import ConfigError
from osler.hub.opening import replace_master_key


def add_commands(app: typer.Typer) -> None:
    """Add the groups."""
    keys = typer.Typer(help="The keys that seal identified data.", no_args_is_help=True)
    keys.command()(rotate)
    app.add_typer(keys, name="keys")
    vault = typer.Typer(help="Pseudonyms and whom they stand for.", no_args_is_help=True)
    vault.command()(reveal)
    app.add_typer(vault, name="vault")


def rotate(
    ctx: typer.Context,
    master: Annotated[bool, typer.Option("--master", help="Also replace the master key.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Seal and sign under new keys; what is sealed or signed already stays readable. A running hub need not stop."""
    caller: Caller = ctx.obj
    if master and caller.environ.get("OSLER_MASTER_KEY"):
        raise ConfigError("the master key comes from OSLER_MASTER_KEY: replace it where that is kept")
    config = caller.config(data_dir)
    with caller.stores(data_dir) as stores:
        stores.keyring.rotate()
        SigningKeys(stores.database, sealer=stores.keyring.sealer("record")).rotate()
        if master:
            replace_master_key(config.data_dir, stores.keyring)
        stores.audit.record(
            AuditRecord(event="key-rotated", outcome=0, agent=caller.agent, detail={"master": int(master)})
        )


def reveal(
    ctx: typer.Context,
    pseudonym: str,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say whom a pseudonym stands for. The question is audited before the answer."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        identity = stores.vault.reveal(pseudonym, agent=caller.agent, reason=reason)
    emit(
        {"pseudonym": pseudonym, "kind": identity.kind.value, "value": identity.value, "issuer": identity.issuer},
        as_json,
        lambda console: console.print(f"{identity.kind.value}: {identity.value}  {identity.issuer}"),
    )
