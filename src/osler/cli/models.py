"""``osler models list|show|card|feedback``."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from osler.api.cds_hooks.feedback import CardStore
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table
from osler.errors import OslerError
from osler.plugins import Card
from osler.registry.local import ModelHandle, Registry

Name = Annotated[str, typer.Argument(help="NAME, NAME@VERSION or NAME@champion.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The models that are installed.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command()(show)
    group.command()(card)
    group.command()(feedback)
    app.add_typer(group, name="models")


def list_models(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the installed models, and whether their weights are those of their cards."""
    rows = [_row(handle) for handle in _registry(ctx, data_dir).list()]

    def draw(console: Console) -> None:
        for row in rows:
            console.print(f"{row['name']}@{row.get('version', '?')}  {row['weights']}  from {row['package']}")

    emit(rows, as_json, draw)


def show(ctx: typer.Context, name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show what a model is, in short."""
    handle = _registry(ctx, data_dir).resolve(name)
    found = handle.card
    document = _row(handle) | {
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
    document = _card(_registry(ctx, data_dir).resolve(name).card)
    emit(document, as_json, lambda console: _print_yaml(console, document))


def feedback(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="NAME or NAME@VERSION; all when it is left out.")] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Count the CDS Hooks cards that showed a model's results, and what people did with them."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        tallies = CardStore(stores.database, stores.keyring.sealer("record")).tally(name)
    rows = [
        {"model": t.model, "topic": t.topic, "outcome": t.outcome or "none yet", "reason": t.reason, "cards": t.cards}
        for t in tallies
    ]
    emit_table(rows, as_json)


def _registry(ctx: typer.Context, data_dir: Path | None) -> Registry:
    """Return the models that are installed and those in the folders that the configuration names."""
    caller: Caller = ctx.obj
    folders = caller.config(data_dir).items("models.folders")
    sys.path.extend(folder for folder in folders if folder not in sys.path)
    return Registry([Path(folder) for folder in folders])


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
