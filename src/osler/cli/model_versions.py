"""``osler models keygen|register|alias|compare|promote|rollback``: versions of models, and which of them is in use."""

import contextlib
import hashlib
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy import Connection

from osler.api.people.roles import Role
from osler.audit import Agent, AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit
from osler.cli.person import As, PasswordStdin, admit
from osler.config import Config
from osler.errors import Conflict, NotFound, Unauthenticated
from osler.hub.registering import champion_of, installed_version, register
from osler.registry import promotion
from osler.registry.agreement import agreements
from osler.registry.opening import open_registry
from osler.registry.port import CHALLENGER, CHAMPION, SHADOW
from osler.registry.signing import create_key, read_key
from osler.stores import Stores

MAKERS = frozenset({Role.ML_ENGINEER, Role.ADMINISTRATOR})
JUDGES = MAKERS | {Role.RADIOLOGIST}

Name = Annotated[str, typer.Argument(help="Name of a model.")]


class Part(StrEnum):
    """What a version may be beside the champion."""

    CHALLENGER = CHALLENGER
    SHADOW = SHADOW


def add_commands(group: typer.Typer) -> None:
    """Add the commands to ``osler models``."""
    group.command()(keygen)
    group.command("register")(register_model)
    group.command()(alias)
    group.command()(compare)
    group.command()(promote)
    group.command()(rollback)


def keygen(
    file: Annotated[Path, typer.Argument(help="Where the private key goes; it must not be there yet.")],
    as_json: Json = False,
) -> None:
    """Make a key that signs models. What it prints goes into registry.trusted_keys."""
    public = create_key(file)
    emit({"private_key": str(file), "public_key": public}, as_json, lambda console: console.print(public, markup=False))


def register_model(
    ctx: typer.Context,
    folder: Annotated[Path, typer.Argument(help="With card.yaml, weights/ and, unless it is signed here, a manifest.")],
    sign_key: Annotated[Path | None, typer.Option(help="Private key that signs it; keygen makes one.")] = None,
    runtime: Annotated[
        str | None, typer.Option(help="Entry point of the plugin that opens it; else the card's name.")
    ] = None,
    part: Annotated[Part | None, typer.Option("--alias", help="What it is to be beside the champion.")] = None,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Register a version of a model: copied, checked, loaded once in its sandbox."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=MAKERS)
        key = None if sign_key is None else read_key(sign_key)
        version = register(config, folder, key=key, runtime=runtime)
        detail = {"model": str(version), "sha256": version.sha256, "signed_by": version.signed_by}
        stores.audit.record(AuditRecord("model-registered", agent=agent, detail=detail))
        if part is not None:
            _set_alias(config, stores, agent, (version.name, part.value, version.version))
    document = {"name": version.name, "version": version.version, "sha256": version.sha256}
    document |= {"signed_by": version.signed_by, "alias": part.value if part else ""}
    emit(document, as_json, lambda console: console.print(f"registered {version}, {version.sha256}", markup=False))


def alias(
    ctx: typer.Context,
    model: Name,
    part: Annotated[Part, typer.Argument(help="What the version is to be.")],
    version: Annotated[str, typer.Argument(help="A registered version; without it nobody is that any more.")] = "",
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Let a version read beside the champion, as its challenger or shadow, or let none. Champions are promoted."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=MAKERS)
        _set_alias(caller.config(data_dir), stores, agent, (model, part.value, version))


def compare(
    ctx: typer.Context,
    model: Name,
    champion: Annotated[str, typer.Option(help="A version; else the champion.")] = "",
    challenger: Annotated[str, typer.Option(help="A version; else the challenger, or the shadow.")] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say how far two versions agree on the live studies that both have read."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    aliases = open_registry(config).aliases(model)
    one = champion or champion_of(config, model)
    other = challenger or aliases.get(CHALLENGER) or aliases.get(SHADOW, "")
    if not one or not other:
        raise NotFound(f"{model} has no {'challenger or shadow' if one else 'champion'}")
    with caller.stores(data_dir) as stores, stores.database.read() as connection:
        found = [a.document() for a in agreements(connection, f"{model}@{one}", f"{model}@{other}")]
    document = {"name": model, "champion": one, "challenger": other, "labels": found}
    emit(document, as_json, lambda console: _draw_agreement(console, document))


def promote(
    ctx: typer.Context,
    model: Name,
    to: Annotated[str, typer.Option(help="The version that is to be the champion.")],
    evidence: Annotated[
        Path | None, typer.Option(help="What osler models evaluate wrote about it.", exists=True, dir_okay=False)
    ] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Confirm what another person asked for.")] = False,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Ask for another champion with evidence, or confirm as a second person; running hubs take it up by themselves."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    with caller.stores(data_dir) as stores:
        if name is None:
            raise Unauthenticated("a promotion takes two persons, each signed in with --as NAME")
        roles = JUDGES if confirm else MAKERS
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=roles)
        if to not in [v.version for v in open_registry(config).versions(model)]:
            raise NotFound(f"the registry has no {model}@{to}")
        if confirm:
            document = _confirm(config, stores, agent, (model, to))
        elif evidence is not None:
            document = _ask(config, stores, agent, (model, to, hashlib.sha256(evidence.read_bytes()).hexdigest()))
        else:
            raise Conflict("who asks for a promotion brings --evidence FILE; who confirms one says --confirm")
    words = "is the champion now" if confirm else "is asked for; another person says the same with --confirm"
    emit(document, as_json, lambda console: console.print(f"{model}@{to} {words}", markup=False))


def rollback(
    ctx: typer.Context,
    model: Name,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Bring the former champion back, at once and alone."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=JUDGES)
        with stores.database.read() as connection:
            last = promotion.confirmed(connection, model)
        if last is None or last.kind != "promotion" or last.to_version != champion_of(config, model):
            raise Conflict(f"the champion of {model} did not come by a promotion: there is nothing to go back to")
        change = promotion.new_change(
            "rollback", model, (last.to_version, last.from_version), evidence={}, by=agent.name
        )
        _crown(config, model, last.from_version)

        def note(connection: Connection) -> None:
            promotion.note_rollback(connection, change, at=time.time())
            stores.audit.append(connection, _record("model-rolled-back", agent, change))

        stores.database.write(note)
    document = change.document()
    emit(document, as_json, lambda console: console.print(f"{model}@{last.from_version} is back", markup=False))


def _ask(config: Config, stores: Stores, agent: Agent, what: tuple[str, str, str]) -> dict[str, Any]:
    model, to, evaluation = what
    champion = champion_of(config, model)
    if champion == to:
        raise Conflict(f"{model}@{to} is the champion already")
    evidence = _weighed(config, stores, agent, (model, champion, to, evaluation))
    change = promotion.new_change("promotion", model, (champion, to), evidence=evidence, by=agent.name)

    def write(connection: Connection) -> None:
        promotion.ask(connection, change, at=time.time())
        stores.audit.append(connection, _record("promotion-requested", agent, change))

    stores.database.write(write)
    return change.document() | {"state": "requested"}


def _confirm(config: Config, stores: Stores, agent: Agent, what: tuple[str, str]) -> dict[str, Any]:
    model, to = what
    champion = champion_of(config, model)
    with stores.database.read() as connection:
        last = promotion.confirmed(connection, model)
        if last is not None and (last.to_version, last.from_version) == (to, champion) and last.kind == "promotion":
            change = last  # confirmed before, and killed before the registry heard of it
        else:
            change = promotion.asked(connection, model, to)
    if change.confirmed_by is None:
        if champion != change.from_version:
            raise Conflict(f"the champion is {champion or 'nobody'} now: ask again")
        if agent.name == change.requested_by:
            raise Conflict(f"{agent.name} asked for it: another person must confirm")
        evidence = _weighed(config, stores, agent, (model, champion, to, change.evidence["evaluation"]))

        def write(connection: Connection) -> None:
            promotion.confirm(connection, change, evidence=evidence, by=agent.name, at=time.time())
            stores.audit.append(connection, _record("model-promoted", agent, change))

        stores.database.write(write)
    _crown(config, model, to)
    return change.document() | {"state": "confirmed", "confirmed_by": change.confirmed_by or agent.name}


def _weighed(config: Config, stores: Stores, agent: Agent, what: tuple[str, str, str, str]) -> dict[str, Any]:
    """Return the evidence, or refuse, on record."""
    model, champion, to, evaluation = what
    with stores.database.read() as connection:
        evidence, missing = promotion.weigh(
            connection, config, name=model, champion=champion, to=to, evaluation=evaluation
        )
    if missing:
        detail = {"model": f"{model}@{to}", "reason": missing[0]}
        stores.audit.record(AuditRecord("promotion-refused", agent=agent, outcome=4, detail=detail))
        raise Conflict(f"not promoted: {'; '.join(missing)}")
    return evidence


def _crown(config: Config, model: str, version: str) -> None:
    """Make a version the champion, and a challenger or shadow no longer; an installed one needs no alias."""
    registry = open_registry(config)
    registered = version in [v.version for v in registry.versions(model)]
    if not registered and version not in ("", installed_version(config, model)):
        raise NotFound(f"neither the registry nor a package has {model}@{version}")
    registry.set_alias(model, CHAMPION, version if registered else None)
    for part, whose in registry.aliases(model).items():
        if part != CHAMPION and whose == version:
            registry.set_alias(model, part, None)


def _set_alias(config: Config, stores: Stores, agent: Agent, what: tuple[str, str, str]) -> None:
    model, part, version = what
    open_registry(config).set_alias(model, part, version or None)
    detail = {"model": f"{model}@{version}" if version else model, "alias": part}
    stores.audit.record(AuditRecord("model-alias-set", agent=agent, detail=detail))


def _record(event: str, agent: Agent, change: promotion.Change) -> AuditRecord:
    detail = {"model": change.name, "from": change.from_version, "to": change.to_version, "change": change.id}
    with contextlib.suppress(KeyError):
        detail["evaluation"] = change.evidence["evaluation"]
    return AuditRecord(event, agent=agent, detail=detail)


def _draw_agreement(console: Console, document: dict[str, Any]) -> None:
    console.print(f"{document['name']}: {document['challenger']} beside the champion {document['champion']}")
    for row in document["labels"]:
        console.print(f"  {row['label']}: {row['compared']} findings compared")
        for what in ("agreement", "kappa", "mean_difference"):
            value, interval = row[what]["value"], row[what]["interval_95"]
            console.print(
                f"    {what}: {value}" + (f" ({interval[0]} to {interval[1]})" if interval else ""), markup=False
            )
    if not document["labels"]:
        console.print("  no study has been read by both")
