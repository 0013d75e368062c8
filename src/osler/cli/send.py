"""``osler send``: files to an SCP, over one association."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.config import split_address
from osler.ingest.folder import Outcome, find_files
from osler.ingest.folder import send as send_files
from osler.tls import client_context


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(send)


def send(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", exists=True)],
    to: Annotated[str, typer.Option("--to", help="HOST:PORT of the SCP.")],
    aet: Annotated[str, typer.Option("--aet", help="Called AE title.")] = "OSLER",
    calling: Annotated[
        str | None, typer.Option("--calling", help="Calling AE title; else that of the configuration (dimse.ae_title).")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS, by tls.authorities and tls.certificate.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Send DICOM files with C-STORE. Ends with 3 when some were not taken or are not DICOM, with 1 when all."""
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    with Progress(console=progress_console(), transient=True) as progress:
        task = progress.add_task("sending", total=sum(1 for _ in find_files(paths)))
        report = send_files(
            paths,
            address=split_address(to),
            called_ae_title=aet,
            calling_ae_title=calling or config.text("dimse.ae_title"),
            tls=client_context(config) if tls else None,
            progress=lambda file: progress.advance(task),
        )
    sent = report.count(Outcome.SENT, Outcome.WARNED)
    others = [f for f in report.files if f.outcome is not Outcome.SENT]

    def draw(console: Console) -> None:
        console.print(f"{sent} sent, {len(report.files) - sent} not")
        for file in others:
            status = f" (status {file.status:04X})" if file.status is not None else ""
            console.print(f"  {file.path}: {file.outcome}{status} {file.comment}")

    rows = [
        {"path": str(f.path), "outcome": f.outcome.value, "status": f.status, "comment": f.comment}
        for f in report.files
    ]
    emit({"sent": sent, "files": rows}, as_json, draw)
    if sent < len(report.files) or not sent:
        raise typer.Exit(3 if sent else 1)
