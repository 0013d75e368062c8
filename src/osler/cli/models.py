"""``osler models list|show|card|feedback``; what changes versions is in the modules beside this one."""

from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from osler.api.cds_hooks.feedback import CardStore
from osler.cli import model_drift, model_measures, model_versions
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table
from osler.config import Config
from osler.errors import OslerError
from osler.hub.registering import installed
from osler.models import read_card
from osler.plugins import Card
from osler.registry.local import ModelHandle
from osler.registry.opening import open_pins, open_registry
from osler.registry.port import CHAMPION, ModelRegistry

Name = Annotated[str, typer.Argument(help="NAME, NAME@VERSION or NAME@ALIAS.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Models: installed and registered, measured, compared, promoted.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command()(show)
    group.command()(card)
    group.command()(feedback)
    model_drift.add_commands(group)
    model_versions.add_commands(group)
    model_measures.add_commands(group)
    app.add_typer(group, name="models")


def list_models(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the models that are installed and registered, whether they are whole, and what part they have."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    registry = open_registry(config)
    rows = [_row(handle) for handle in installed(config).list()]
    for row in rows:
        row["aliases"] = [] if CHAMPION in registry.aliases(row["name"]) else [CHAMPION]
    for name in registry.names():
        rows += _registered(config, registry, name)

    def draw(console: Console) -> None:
        for row in rows:
            parts = f"  {' '.join(row['aliases'])}" if row["aliases"] else ""
            source = row["package"] or "the registry"
            console.print(f"{row['name']}@{row.get('version', '?')}  {row['weights']}  from {source}{parts}")

    emit(rows, as_json, draw)


def show(ctx: typer.Context, name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show what a model is, in short."""
    caller: Caller = ctx.obj
    found, row = _found(caller.config(data_dir), name)
    document = row | {
        "intended_use": found.intended_use,
        "limitations": found.limitations,
        "modalities": list(found.modalities),
        "licence": found.licence,
        "sha256": found.sha256,
        "preprocessing": found.preprocessing,
        "outputs": [
            {
                "label": o.label,
                "code": o.code.value,
                "scheme": o.code.scheme,
                "threshold": o.threshold,
                "critical": o.critical,
            }
            for o in found.outputs
        ],
    }
    emit(document, as_json, lambda console: _print_yaml(console, document))


def card(ctx: typer.Context, name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Print the whole card: what it was trained on, what was measured, what it must not be used for."""
    caller: Caller = ctx.obj
    document = _card(_found(caller.config(data_dir), name)[0])
    emit(document, as_json, lambda console: _print_yaml(console, document))


def feedback(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="NAME or NAME@VERSION; all when it is left out.")] = "",
    rolling: Annotated[
        bool, typer.Option("--rolling", help="How often it was right lately, by what people confirmed and rejected.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Count the CDS Hooks cards that showed a model's results, and what people did with them."""
    if rolling:
        model_drift.show_outcomes(ctx, name, data_dir, as_json)
        return
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        tallies = CardStore(stores.database, stores.keyring.sealer("record")).tally(name)
    rows = [
        {"model": t.model, "topic": t.topic, "outcome": t.outcome or "none yet", "reason": t.reason, "cards": t.cards}
        for t in tallies
    ]
    emit_table(rows, as_json)


def _found(config: Config, reference: str) -> tuple[Card, dict[str, Any]]:
    """Return the card of a registered version or, if the registry has none, of an installed model, and its row."""
    pinned = open_pins(config).resolve(reference)
    if pinned is None:
        handle = installed(config).resolve(reference)
        return handle.card, _row(handle)
    row = {"name": pinned.name, "package": "", "version": pinned.version, "weights": "verified"}
    return read_card(pinned.folder), row | {"artefact": pinned.sha256}


def _registered(config: Config, registry: ModelRegistry, name: str) -> list[dict[str, Any]]:
    pins, aliases = open_pins(config, registry), registry.aliases(name)
    rows = []
    for version in registry.versions(name):
        row: dict[str, Any] = {"name": name, "package": "", "version": version.version, "artefact": version.sha256}
        row |= {
            "signed_by": version.signed_by,
            "aliases": sorted(a for a, v in aliases.items() if v == version.version),
        }
        try:
            pinned = pins.resolve(str(version))
            row |= {"sha256": read_card(pinned.folder).sha256, "weights": "verified"} if pinned else {}
        except OslerError as error:
            row["weights"] = f"refused: {error}"
        rows.append(row)
    return rows


def _row(handle: ModelHandle) -> dict[str, Any]:
    row: dict[str, Any] = {"name": handle.name, "package": f"{handle.distribution} {handle.distribution_version}"}
    try:
        found = handle.card
        row |= {"version": found.version, "sha256": found.sha256}
        handle.verified(found)
        row["weights"] = "verified"
    except OslerError as error:
        row["weights"] = f"refused: {error}"
    return row


def _card(found: Card) -> dict[str, Any]:
    import dataclasses

    document = dataclasses.asdict(found)
    document["outputs"] = [dict(o) for o in document["outputs"]]
    document["modalities"] = list(document["modalities"])
    return document


def _print_yaml(console: Console, document: dict[str, Any]) -> None:
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    console.print(text, markup=False, end="")
