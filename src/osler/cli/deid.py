"""``osler deid``: the group, and ``osler deid dicom``."""

import shlex
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from osler.cli import deid_evaluate, deid_fhir, deid_profile, deid_reveal, deid_text
from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.deidentify.dicom.batches import Work
from osler.deidentify.dicom.burned_in.defacing import DefacingCommand
from osler.deidentify.dicom.folder import deidentify_folder
from osler.deidentify.dicom.options import Option, Options, options_of
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.errors import ConfigError
from osler.hub.opening import create_data_dir


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="De-identify files.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(deid_text.text)
    group.command()(deid_reveal.reveal)
    group.command()(dicom)
    deid_fhir.add_commands(group)
    group.command()(deid_evaluate.evaluate)
    deid_profile.add_commands(group)
    app.add_typer(group, name="deid")


def dicom(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="IN", help="Folder with DICOM files.", exists=True)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the result.")],
    option: Annotated[
        list[str] | None, typer.Option(help="An option of PS3.15 E.3 in kebab-case; may be given again.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write one JSON object a file there, without any value.")] = None,
    review: Annotated[
        Path | None,
        typer.Option(
            help="With clean-pixel-data: write a page for each file there, that shows its pixels as they came."
        ),
    ] = None,
    defacer: Annotated[
        str | None,
        typer.Option(
            help="For clean-recognizable-visual-features: a command that is given a file to read and one to write."
        ),
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """De-identify a folder by the basic profile of PS3.15 and options; ends with 3 when some files were refused.

    Pseudonyms are kept in the vault of the data folder, which is made when it is not there. A run that was stopped is
    gone on with by the same command.
    """
    caller: Caller = ctx.obj
    options = options_of(option or ())
    work = Work(target, options, review, _defacer(defacer, options))
    settings = caller.config(data_dir)
    create_data_dir(settings, caller.environ)
    with (
        caller.stores(settings.data_dir) as stores,
        Progress(console=progress_console(), transient=True) as progress,
    ):
        task = progress.add_task("de-identifying", total=None)
        summary = deidentify_folder(
            source,
            work,
            pseudonyms=VaultPseudonyms(stores.vault),
            report=report,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )

    def draw(console: Console) -> None:
        console.print(f"{summary.deidentified} de-identified, {summary.refused} refused, {summary.failed} not readable")

    emit(
        {"deidentified": summary.deidentified, "refused": summary.refused, "failed": summary.failed},
        as_json,
        draw,
    )
    if summary.refused or summary.failed:
        raise typer.Exit(3 if summary.deidentified else 1)


def _defacer(command: str | None, options: Options) -> DefacingCommand | None:
    """Return the tool that defaces, if one is asked for."""
    if command is None:
        return None
    if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES not in options:
        raise ConfigError("--defacer is for the option clean-recognizable-visual-features")
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words or shutil.which(words[0]) is None:
        raise ConfigError("the command of --defacer is not there")
    return DefacingCommand(tuple(words))
