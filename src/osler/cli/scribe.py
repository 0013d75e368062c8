"""``osler scribe``: a recording or a transcript in, a draft note out, without a server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from osler.cli import scribe_evaluate, scribe_list, scribe_models
from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.deidentify.transcript import deidentify_transcript
from osler.domain.note_json import checked_to_json, transcript_to_json
from osler.domain.orders import OrderAction, order_from_json
from osler.domain.transcript import Transcript
from osler.draft.gate import check_text
from osler.draft.port import DETAILS, NAMES_OF_PATIENT, Style
from osler.errors import ConfigError, UnsupportedMediaType
from osler.hub.scribe import drafting_of
from osler.scribe.chart import Chart
from osler.scribe.hiding import hide
from osler.scribe.note import as_text, signable
from osler.scribe.steps import Ear, draft_note
from osler.transcribe.formats import read_transcript, to_json
from osler.transcribe.sniff import is_audio

_DRAFT: Final = "draft"
_T = TypeVar("_T")


class _FileFirst(typer.core.TyperGroup):
    """A group whose first argument may be a file."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take what is no command as the file of a draft."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = [_DRAFT, *args]
        return super().parse_args(ctx, args)


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        cls=_FileFirst,
        help="Ambient documentation: osler scribe AUDIO|TRANSCRIPT drafts a note from a recorded encounter.",
        no_args_is_help=True,
    )
    group.command(_DRAFT)(draft)
    group.command()(check)
    scribe_evaluate.add_commands(group)
    scribe_list.add_commands(group)
    scribe_models.add_commands(group)
    app.add_typer(group, name="scribe")


def draft(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A recording (WAV, FLAC, MP3, Ogg, WebM, M4A), or a transcript.")],
    template: Annotated[str | None, typer.Option(help="Kind of note, as soap; else scribe.template.")] = None,
    detail: Annotated[str, typer.Option(help="brief, standard or full.")] = "standard",
    by_problem: Annotated[
        bool | None, typer.Option(help="Assessment and plan by problem, or not; else as the kind of note says.")
    ] = None,
    patient_called: Annotated[
        str, typer.Option(help=f"How the note calls the patient: {', '.join(NAMES_OF_PATIENT)}.")
    ] = NAMES_OF_PATIENT[0],
    context: Annotated[Path | None, typer.Option(help="What is known of the patient: a FHIR Patient, JSON.")] = None,
    speech_model: Annotated[
        str | None, typer.Option(help="NAME or NAME@VERSION, or the folder of a model; else scribe.speech_model.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Draft a note: each statement with where it was said; what the gate refuses is struck through.

    The draft is not a finding and nobody has signed it. A language model is asked only where scribe.endpoint names one,
    and is given the de-identified transcript.
    """
    caller: Caller = ctx.obj
    config = caller.config(data_dir, given={"scribe.speech_model": speech_model} if speech_model else {})
    drafting = drafting_of(config)
    kind = template or config.text("scribe.template")
    if kind not in drafting.templates:
        raise ConfigError(f"there is no template {kind!r}; there is {', '.join(sorted(drafting.templates))}")
    style = _style(detail, by_problem, patient_called)
    chart = Chart(_known(context))
    seconds: dict[str, float] = {}
    with Progress(console=progress_console(), transient=True) as progress:
        transcript = _timed(seconds, "transcribe", lambda: _transcript(file, drafting.ear, chart, progress))
        drafted = _timed(
            seconds,
            "draft",
            lambda: draft_note(
                transcript,
                chart,
                writer=drafting.writers[0],
                template=drafting.templates[kind],
                style=style,
            ),
        )
    document = {
        "note": drafted.note,
        "orders": drafted.note["orders"],
        "text": as_text(drafted.note),
        "transcript": json.loads(to_json(transcript)),
        "deidentified": transcript_to_json(drafted.transcript),
        "seconds": seconds,
    }
    emit(document, as_json, lambda console: _draw(console, document))


def check(
    ctx: typer.Context,
    transcript: Annotated[Path, typer.Argument(help="A transcript.", exists=True)],
    note: Annotated[Path, typer.Argument(help="A note in plain text.", exists=True)],
    context: Annotated[Path | None, typer.Option(help="What is known of the patient: a FHIR Patient, JSON.")] = None,
    as_json: Json = False,
) -> None:
    """Hold a note to a transcript, sentence by sentence; ends with 1 when it is another encounter's.

    What the gate shows of the note is without identifiers.
    """
    heard = read_transcript(transcript.read_bytes())
    deidentified, originals = deidentify_transcript(heard, _known(context))
    text = hide(note.read_text(encoding="utf-8", errors="replace"), originals)
    checked = check_text(text, deidentified)
    document = checked_to_json(checked)
    statements = [s for section in document["sections"] for s in section["statements"]]
    passed = sum(s["passed"] for s in statements)
    document["summary"] = {"statements": len(statements), "passed": passed}

    def draw(console: Console) -> None:
        for one in statements:
            mark = "ok " if one["passed"] else "NO "
            console.print(f"{mark} {one['text']}", markup=False)
            if not one["passed"]:
                console.print(f"    {one['support']}: {', '.join(one['reasons'])}", markup=False)
        console.print(f"{passed} of {len(statements)} statements are carried by the transcript")
        if document["refusal"]:
            console.print(f"refused as a whole: {document['refusal']}")

    emit(document, as_json, draw)
    if document["refusal"]:
        raise typer.Exit(1)


def _transcript(file: Path, ear: Ear, chart: Chart, progress: Progress) -> Transcript:
    try:
        with file.open("rb") as stream:
            beginning = stream.read(64)
    except OSError as error:
        raise ConfigError(f"the file cannot be read: {error.strerror}") from None
    if not is_audio(beginning):
        try:
            return read_transcript(file.read_bytes())
        except UnsupportedMediaType:
            raise UnsupportedMediaType("that is neither a recording nor a transcript that we can read") from None
    task = progress.add_task("transcribing", total=None)
    with file.open("rb") as stream:
        return ear.hear([stream], chart, progress=lambda done: progress.update(task, completed=done))


def _style(detail: str, by_problem: bool | None, patient_called: str) -> Style:
    if detail not in DETAILS:
        raise ConfigError("--detail is brief, standard or full")
    if patient_called not in NAMES_OF_PATIENT:
        raise ConfigError(f"--patient-called is one of {', '.join(NAMES_OF_PATIENT)}")
    return Style(detail, by_problem, patient_called)


def _known(context: Path | None) -> dict[str, Any]:
    if context is None:
        return {}
    try:
        known = json.loads(context.read_bytes())
    except (OSError, ValueError):
        raise ConfigError("--context is a file with a FHIR Patient as JSON") from None
    if not isinstance(known, dict):
        raise ConfigError("--context is a file with a FHIR Patient as JSON")
    return known


def _timed(seconds: dict[str, float], name: str, work: Callable[[], _T]) -> _T:
    began = time.perf_counter()
    done = work()
    seconds[name] = round(time.perf_counter() - began, 3)
    return done


def _draw(console: Console, document: dict[str, Any]) -> None:
    note = document["note"]
    author = note["author"]
    console.print(f"{note['title']}: DRAFT by {author['name']} {author['version']}, signed by nobody", style="bold")
    if note["refusal"]:
        console.print(f"refused as a whole: {note['refusal']}", style="red")
    for section in note["sections"]:
        if not section["statements"]:
            continue
        heading = f"{section['title']}: {section['problem']}" if section["problem"] else section["title"]
        console.print(f"\n{heading.upper()}", style="bold", markup=False)
        for statement in section["statements"]:
            where = ",".join(str(e["utterance"]) for e in statement["evidence"])
            style = None if signable(statement) else "strike dim"
            console.print(f"{statement['text']}  [{where}]", style=style, markup=False)
            if not signable(statement):
                console.print(f"    not carried: {', '.join(statement['reasons'])}", style="red", markup=False)
    _draw_rest(console, note)


def _draw_rest(console: Console, note: dict[str, Any]) -> None:
    if note["omissions"]:
        console.print("\nSAID BUT NOT NOTED", style="bold")
        for one in note["omissions"]:
            console.print(f"{one['kind']}: {one['text']}  [{one['evidence'][0]['utterance']}]", markup=False)
    if note["orders"]:
        console.print("\nORDERS THAT WERE SAID (nothing is placed)", style="bold")
        for one in note["orders"]:
            order = order_from_json(one)
            how = ", ".join(part for part in (order.instructions, order.when, order.condition) if part)
            what = (
                order.kind.value if order.action is OrderAction.ORDER else f"{order.kind.value}, {order.action.value}"
            )
            console.print(f"{what}: {order.name}{' - ' if how else ''}{how}", markup=False)
    if note["codes"]:
        console.print("\nSUGGESTED CODES (ICD-10-CM)", style="bold")
        for one in note["codes"]:
            console.print(f"{one['code']}  {one['display']}", markup=False)
    for warning in note["warnings"]:
        console.print(f"note: {warning}", style="yellow", markup=False)
