"""``osler scribe models``: the speech models of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from osler.cli.caller import Caller, DataDir, Json, emit_table
from osler.hub.scribe import speech_folder
from osler.transcribe.models import Installed, SpeechModels


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Speech models; nothing is ever downloaded.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(listing)
    app.add_typer(group, name="models")


def add(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="Folder of a Whisper model in CTranslate2's form.")],
    name: Annotated[str | None, typer.Option(help="Else the name of the folder.")] = None,
    version: Annotated[str | None, typer.Option(help="Else the first digits of the hash of its weights.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Copy a speech model into the data folder."""
    caller: Caller = ctx.obj
    models = SpeechModels(speech_folder(caller.config(data_dir)))
    emit_table([_row(models.add(path, name, version))], as_json)


def listing(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the speech models."""
    caller: Caller = ctx.obj
    emit_table([_row(one) for one in SpeechModels(speech_folder(caller.config(data_dir))).list()], as_json)


def _row(one: Installed) -> dict[str, object]:
    return {
        "name": one.model.name,
        "version": one.model.version,
        "size_mb": round(one.size_bytes / 1e6, 1),
        "sha256": one.model.sha256,
    }
