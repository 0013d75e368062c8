"""``osler scribe evaluate``: drafts measured against notes that people wrote, and hearing against what was said."""

import contextlib
import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from osler import __version__
from osler.cli.caller import Caller, DataDir, Json, emit
from osler.config import Config
from osler.draft.evaluate.corpora import Case, read_aci_bench, read_mts_dialog, read_primock57
from osler.draft.evaluate.report import evaluate as measure
from osler.draft.extractive import classify_topic
from osler.errors import ConfigError, Malformed
from osler.hub.scribe import Drafting, drafting_of
from osler.scribe import evaluations
from osler.scribe.chart import Chart
from osler.transcribe import evaluate as hearing

_READERS = (read_aci_bench, read_mts_dialog, read_primock57)


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    ctx: typer.Context,
    corpus: Annotated[
        Path,
        typer.Argument(
            help="CSV of ACI-BENCH, MTS-Dialog or PriMock57; or a folder of recordings with labels.csv (file,text).",
            exists=True,
        ),
    ],
    template: Annotated[str | None, typer.Option(help="Kind of note; else scribe.template.")] = None,
    disturb: Annotated[bool, typer.Option(help="Also with swapped speakers and a recogniser's errors.")] = True,
    save: Annotated[bool, typer.Option("--save", help="Keep the report in the hub: /scribe/quality shows it.")] = False,
    name: Annotated[str | None, typer.Option(help="Of the data set in the report; else the name of the file.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure drafts: ROUGE, faithful statements, numbers, drugs, omissions, sections, another patient's note.

    ROUGE is unstemmed, and only reported: it cannot tell another patient's note from the right one. The gate must. Of
    recordings: the words that are heard wrong, clean and in noise.
    """
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    drafting, called = drafting_of(config), evaluations.named(name or corpus.resolve().name)
    with contextlib.ExitStack() as stack:
        stores = stack.enter_context(caller.stores(data_dir)) if save else None
        found = _heard(corpus, drafting) if corpus.is_dir() else _drafted(corpus, drafting, config, template, disturb)
        document = {"software": __version__, **found, "corpus": {"name": called, "sha256": found["corpus"]}}
        if stores is not None:
            evaluations.keep(stores, caller.agent, document)
    emit(document, as_json, lambda console: _draw(console, document))


def _drafted(corpus: Path, drafting: Drafting, config: Config, template: str | None, disturb: bool) -> dict[str, Any]:
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
    digest = hashlib.sha256(corpus.read_bytes()).hexdigest()
    return {"kind": "drafts", "corpus": digest, "template": kind, **report.as_json()}


def _heard(folder: Path, drafting: Drafting) -> dict[str, Any]:
    spoken = hearing.read_spoken(folder)
    report = hearing.evaluate(
        spoken, lambda recording: drafting.ear.hear([recording], Chart({}), progress=lambda _: None)
    )
    return {"kind": "hearing", "corpus": hearing.fingerprint(spoken), **report.as_json()}


def _read(path: Path) -> tuple[Case, ...]:
    for reader in _READERS:
        try:
            return reader(path)
        except Malformed:
            continue
    raise Malformed("that is no CSV of ACI-BENCH, MTS-Dialog or PriMock57")


def _draw(console: Console, document: dict[str, Any]) -> None:
    if document["kind"] == "hearing":
        console.print(f"{document['recordings']} recordings, {document['minutes']} minutes", style="bold")
        _rows(console, {f"words wrong, {noise}": rate for noise, rate in document["word_error_rate"].items()})
        _rows(console, {"seconds a minute of audio": document["seconds_per_minute"]})
        return
    console.print(f"{document['cases']} encounters", style="bold")
    _rows(console, document["figures"])
    for name, figures in document["disturbed"].items():
        console.print(f"\n{name.replace('_', ' ')}", style="bold")
        _rows(console, figures)
    console.print("\nanother patient's encounter", style="bold")
    for name, control in document["another_patient"].items():
        _rows(console, {f"{name}, {key}": value for key, value in control.items()})
    seconds = document["seconds"]
    _rows(console, {f"seconds a draft, {key}": seconds[key] for key in ("mean", "slowest")})
    _rows(console, {"seconds a minute spoken (150 words)": seconds["per_minute"]})


def _rows(console: Console, figures: dict[str, Any]) -> None:
    for name, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)
        console.print(f"  {name.replace('_', ' '):<40}{shown}", markup=False)
