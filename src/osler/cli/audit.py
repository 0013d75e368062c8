"""``osler audit verify|search|export``, and ``who|disclosures`` of one patient."""

import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from osler.audit import AuditRecord
from osler.cli.audit_patient import list_disclosures, moment, who
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Who saw what, and proof that nothing was altered.", no_args_is_help=True)
    for command in (verify, search, export):
        group.command()(command)
    group.command("who")(who)
    group.command("disclosures")(list_disclosures)
    app.add_typer(group, name="audit")


def verify(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Check every link, signature and checkpoint of the chain; ends with 1 when one does not hold."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        report = stores.audit.verify()
    problems = [{"seq": p.seq, "kind": p.kind, "reason": p.words} for p in report.problems]

    def draw(console: Console) -> None:
        if report.ok:
            console.print(f"audit verified: {report.entries} entries, chain and checkpoints hold")
        for p in problems:
            console.print(f"entry {p['seq']}: {p['kind']}: {p['reason']}")

    emit({"verified": report.ok, "entries": report.entries, "problems": problems}, as_json, draw)
    if not report.ok:
        raise typer.Exit(1)


def search(
    ctx: typer.Context,
    patient: Annotated[str | None, typer.Option(help="Pseudonym of a patient.")] = None,
    agent: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    event: Annotated[str | None, typer.Option(help="Name of an audit event.")] = None,
    since: Annotated[str | None, typer.Option(help="ISO 8601 time.")] = None,
    until: Annotated[str | None, typer.Option(help="ISO 8601 time.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most entries to show, newest first.")] = 100,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Find entries by patient, agent, event and time."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        stores.audit.record(AuditRecord("audit-searched", agent=caller.agent, patient=patient))
        found = stores.audit.search(
            patient=patient, agent=agent, event=event, since=moment(since), until=moment(until), limit=limit
        )
    rows: list[dict[str, Any]] = [
        {
            "seq": e.seq,
            "at": datetime.fromtimestamp(e.recorded_at, UTC).isoformat(timespec="seconds"),
            "event": e.event,
            "outcome": e.outcome,
            "agent": e.agent,
            "patient": e.patient,
        }
        for e in found
    ]

    emit_table(
        [row | {"resource": e.resource} for row, e in zip(rows, found, strict=True)] if as_json else rows, as_json
    )


def export(ctx: typer.Context, data_dir: DataDir = None) -> None:
    """Write all entries as FHIR AuditEvents, one JSON object a line, to standard output."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        stores.audit.record(AuditRecord(event="audit-exported", outcome=0, agent=caller.agent))
        stores.audit.export(sys.stdout)
