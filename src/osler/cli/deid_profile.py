"""``osler deid profile show``."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from osler.cli.caller import Json, emit
from osler.deidentify.dicom.describing import describe
from osler.deidentify.dicom.options import CODES, PROFILE, options_of
from osler.standards.confidentiality import EDITION


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="The DICOM confidentiality profile.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command()(show)
    app.add_typer(group, name="profile")


def show(
    option: Annotated[
        list[str] | None, typer.Option(help="An option of PS3.15 E.3 in kebab-case; may be given again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what happens to each attribute under the basic profile and options, in words that can be signed."""
    options = options_of(option or ())
    rows = describe(options)
    codes = [PROFILE, *(CODES[one] for one in sorted(options))]

    def draw(console: Console) -> None:
        table = Table(title=f"DICOM PS3.15 {EDITION}: {'; '.join(f'{code.meaning} ({code.value})' for code in codes)}")
        for heading in ("tag", "attribute", "what happens", "because"):
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(row.tag, row.name, row.what, row.because)
        console.print(table)

    emit(
        {
            "edition": EDITION,
            "method": [{"code": code.value, "scheme": code.scheme, "meaning": code.meaning} for code in codes],
            "attributes": [row._asdict() for row in rows],
        },
        as_json,
        draw,
    )
