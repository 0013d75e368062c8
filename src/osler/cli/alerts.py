"""``osler alerts list|ack``."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console

from osler.cli.caller import Caller, DataDir, Json, emit
from osler.domain.findings import Inference
from osler.hub.publishing import make_publisher
from osler.metrics import Metrics
from osler.publish.alert import alerts
from osler.publish.outbox import recorded_result


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Critical findings that went to a person.", no_args_is_help=True)
    group.command("list")(list_alerts)
    group.command("ack")(acknowledge)
    app.add_typer(group, name="alerts")


def list_alerts(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are acknowledged.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List alerts that nobody has acknowledged."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores, stores.database.read() as connection:
        found = alerts(connection, open_only=not everything)
        rows: list[dict[str, Any]] = [
            {
                "id": a.id,
                "state": "acknowledged" if a.acknowledged_at else "raised",
                "study_uid": recorded_result(connection, a.inference_id).inference.study_instance_uid,
                "raised_at": datetime.fromtimestamp(a.raised_at, UTC).isoformat(timespec="seconds"),
                "level": a.level,
                "findings": _findings(recorded_result(connection, a.inference_id).inference),
                "acknowledged_by": a.acknowledged_by,
            }
            for a in found
        ]

    def draw(console: Console) -> None:
        for r in rows:
            by = f" by {r['acknowledged_by']}" if r["acknowledged_by"] else ""
            console.print(
                f"{r['id']}  {r['raised_at']}  {r['state']}{by}  level {r['level']}  {', '.join(r['findings'])}"
                f"  study {r['study_uid']}"
            )
        if not rows:
            console.print("no alert is open")

    emit(rows, as_json, draw)


def acknowledge(
    ctx: typer.Context,
    alert_id: str,
    by: Annotated[str | None, typer.Option("--by", help="Who takes it; else the user at the terminal.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Acknowledge an alert: it escalates no further."""
    caller: Caller = ctx.obj
    who = by or caller.agent.name
    config = caller.config(data_dir)
    with caller.stores(data_dir) as stores:
        publisher = make_publisher(stores, config, metrics=Metrics(), owner="cli", person=caller.agent)
        taken = publisher.acknowledge(alert_id, by=who).acknowledged_by  # who came first has it
    emit({"id": alert_id, "acknowledged_by": taken}, as_json, lambda c: c.print(f"{alert_id} acknowledged by {taken}"))


def _findings(inference: Inference) -> list[str]:
    found = [f for result in inference.results for f in result.findings if f.critical and f.positive]
    return list(dict.fromkeys(f"{f.label} {f.probability:.2f}" for f in found))
