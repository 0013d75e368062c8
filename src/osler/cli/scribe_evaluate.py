"""``osler scribe evaluate``: drafts measured against notes that people wrote."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from osler.cli.caller import Caller, DataDir, Json, emit
from osler.draft.evaluate.corpora import Case, read_aci_bench, read_mts_dialog, read_primock57
from osler.draft.evaluate.report import evaluate as measure
from osler.draft.extractive import classify_topic
from osler.errors import ConfigError, Malformed
from osler.hub.scribe import drafting_of

_READERS = (read_aci_bench, read_mts_dialog, read_primock57)


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    ctx: typer.Context,
    corpus: Annotated[Path, typer.Argument(help="CSV of ACI-BENCH, MTS-Dialog or PriMock57.", exists=True)],
    template: Annotated[str | None, typer.Option(help="Kind of note; else scribe.template.")] = None,
    disturb: Annotated[bool, typer.Option(help="Also with swapped speakers and a recogniser's errors.")] = True,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure drafts: ROUGE, faithful statements, numbers, drugs, omissions, sections, another patient's note.

    ROUGE is unstemmed, and only reported: it cannot tell another patient's note from the right one. The gate must.
    """
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    drafting = drafting_of(config)
    kind = template or config.text("scribe.template")
    if kind not in drafting.templates:
        raise ConfigError(f"there is no template {kind!r}; there is {', '.join(sorted(drafting.templates))}")
    cases = _read(corpus)
    report = measure(
        cases,
        drafting.writers[0],
        template=drafting.templates[kind],
        classify=(lambda text: classify_topic(text).topic) if all(case.topic for case in cases) else None,
        disturb=disturb,
    )
    document = report.as_json()
    emit(document, as_json, lambda console: _draw(console, document))


def _read(path: Path) -> tuple[Case, ...]:
    for reader in _READERS:
        try:
            return reader(path)
        except Malformed:
            continue
    raise Malformed("that is no CSV of ACI-BENCH, MTS-Dialog or PriMock57")


def _draw(console: Console, document: dict[str, Any]) -> None:
    console.print(f"{document['cases']} encounters", style="bold")
    _rows(console, document["figures"])
    for name, figures in document["disturbed"].items():
        console.print(f"\n{name.replace('_', ' ')}", style="bold")
        _rows(console, figures)
    console.print("\nanother patient's encounter", style="bold")
    for name, control in document["another_patient"].items():
        _rows(console, {f"{name}, {key}": value for key, value in control.items()})
    _rows(console, {f"seconds a draft, {key}": value for key, value in document["seconds"].items()})


def _rows(console: Console, figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)
        console.print(f"  {name.replace('_', ' '):<40}{shown}", markup=False)
