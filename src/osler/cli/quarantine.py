"""``osler quarantine list|show|release|discard``: what could not be made safe by rule, and a person's decision."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from osler.cli import person
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table
from osler.cli.person import As, PasswordStdin
from osler.deidentify.dicom.admission import REVIEWABLE
from osler.hub.quarantine import Quarantine
from osler.storage.quarantine import Entry, HeldState

Ids = Annotated[list[str], typer.Argument(metavar="ID...", help="Ids, as osler quarantine list shows them.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger and in the audit.")]


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="What could not be made safe by rule, and waits for a person.", no_args_is_help=True)
    group.command("list")(list_entries)
    group.command()(show)
    group.command()(release)
    group.command()(discard)
    app.add_typer(group, name="quarantine")


def list_entries(
    ctx: typer.Context,
    state: Annotated[HeldState | None, typer.Option(help="Only these.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most rows to list.")] = 1000,
    as_user: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List what is held back from the models, and why, the oldest first; also what was decided."""
    with _quarantine(ctx.obj, data_dir, as_user, password_stdin) as quarantine:
        found = quarantine.entries(states=() if state is None else (state,), limit=limit)
    keys = ("id", "study", "rule", "reason", "state", "held_at", "releasable")
    emit_table([{key: _row(entry)[key] for key in keys} for entry in found], as_json)


def show(
    ctx: typer.Context,
    entry: Annotated[str, typer.Argument(metavar="ID", help="Id, as osler quarantine list shows it.")],
    sheet: Annotated[
        Path | None,
        typer.Option(help="Draw the pixels there: .png frames, .html with the text that is found. Identified."),
    ] = None,
    as_user: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show an entry: the rule, the reason, when, from where, and who decided what."""
    with _quarantine(ctx.obj, data_dir, as_user, password_stdin) as quarantine:
        row = _row(quarantine.show(entry))
        if sheet is not None:
            row["frames"] = quarantine.sheet(entry, sheet)
            row["sheet"] = str(sheet)
    emit(row, as_json, lambda console: _draw(console, row))


def release(
    ctx: typer.Context,
    entries: Ids,
    reason: Reason,
    unseen: Annotated[
        str, typer.Option("--unseen", metavar="REASON", help="Why you release what you have not looked at.")
    ] = "",
    as_user: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Say that you have looked at the pixels and answer for them: de-identification lets them through, all or none.

    You have looked when you drew the sheet (osler quarantine show ID --sheet FILE) under the same name. The study is
    complete again, in a new revision, and goes on. A rule that refused for something else is not lifted.
    """
    with _quarantine(ctx.obj, data_dir, as_user, password_stdin) as quarantine:
        found = quarantine.release(entries, why=reason, unseen=unseen)
    emit_table([_row(entry) for entry in found], as_json)


def discard(
    ctx: typer.Context,
    entries: Ids,
    reason: Reason,
    as_user: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Remove what is held, all or none. Who did it and why stays; the sender may send it again."""
    with _quarantine(ctx.obj, data_dir, as_user, password_stdin) as quarantine:
        found = quarantine.discard(entries, why=reason)
    emit_table([_row(entry) for entry in found], as_json)


@contextlib.contextmanager
def _quarantine(caller: Caller, data_dir: Path | None, name: str | None, from_stdin: bool) -> Iterator[Quarantine]:
    with caller.stores(data_dir) as stores:
        agent = person.admit(caller, stores, data_dir, name=name, from_stdin=from_stdin, roles=person.PRIVACY)
        yield Quarantine(stores, agent)


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "study": entry.study_uid or entry.study_id,
        "patient": entry.patient,
        "rule": entry.rule,
        "reason": entry.reason,
        "state": entry.state.value,
        "releasable": entry.state is HeldState.HELD and entry.rule in REVIEWABLE,
        "held_at": _time(entry.held_at),
        "source": entry.source,
        "sop_class_uid": entry.sop_class_uid,
        "bytes": entry.size,
        "decided_at": _time(entry.decided_at),
        "decided_by": entry.decided_by,
        "why": entry.why,
    }


def _draw(console: Console, row: dict[str, Any]) -> None:
    for key, value in row.items():
        if value is not None:
            console.print(f"{key.replace('_', ' ')}: {value}", markup=False)


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
