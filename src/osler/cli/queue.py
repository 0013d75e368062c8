"""``osler queue`` and ``osler outbox``: what waits."""

from enum import StrEnum
from typing import Annotated

import typer
from sqlalchemy import Connection

from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit_table
from osler.domain.states import DeliveryState, JobState
from osler.errors import NotFound
from osler.publish.outbox import Outbox

Limit = Annotated[int, typer.Option(min=1, help="Most rows to list.")]
JobId = Annotated[str, typer.Argument(help="Id of a job, as osler queue list shows it.")]


class JobChoice(StrEnum):
    """Which jobs to list."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in progress"
    COMPLETED = "completed"
    CANCELED = "canceled"
    DEAD = "dead"


def add_commands(app: typer.Typer) -> None:
    """Add the groups."""
    jobs = typer.Typer(help="The waiting line of inference jobs.", no_args_is_help=True)
    jobs.command("list")(list_jobs)
    jobs.command()(retry)
    jobs.command()(discard)
    app.add_typer(jobs, name="queue")
    deliveries = typer.Typer(help="Results on their way to their destinations.", no_args_is_help=True)
    deliveries.command("list")(list_deliveries)
    deliveries.command("retry")(retry_delivery)
    app.add_typer(deliveries, name="outbox")


def list_jobs(
    ctx: typer.Context,
    state: Annotated[JobChoice | None, typer.Option(help="Only these; dead are those that wait for a person.")] = None,
    limit: Limit = 1000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List jobs with their state, attempts and the reason of the last failure."""
    caller: Caller = ctx.obj
    dead = state is JobChoice.DEAD
    states = () if state is None or dead else (JobState(state.value),)
    with caller.stores(data_dir) as stores:
        entries = stores.queue.entries(states=states, dead=True if dead else None, limit=limit)
    rows = [
        {
            "id": e.id,
            "study_uid": e.study_instance_uid,
            "revision": e.revision,
            "model": e.model,
            "priority": e.priority.value,
            "state": "dead" if e.dead else e.state.value,
            "attempts": e.attempts,
            "reason": e.reason,
        }
        for e in entries
    ]
    emit_table(rows, as_json)


def retry(ctx: typer.Context, job: JobId, data_dir: DataDir = None) -> None:
    """Schedule a dead job again, with its attempts back at zero."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:

        def change(connection: Connection) -> bool:
            changed = stores.queue.retry(job, connection=connection)
            if changed:
                stores.audit.append(
                    connection, AuditRecord("job-retried", agent=caller.agent, entities=(f"job:{job}",))
                )
            return changed

        if not stores.database.write(change):
            raise NotFound("that job is not canceled; there is nothing to retry")


def discard(ctx: typer.Context, job: JobId, data_dir: DataDir = None) -> None:
    """Cancel a job for good."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:

        def change(connection: Connection) -> bool:
            changed = stores.queue.discard(job, connection=connection)
            if changed:
                stores.audit.append(
                    connection, AuditRecord("job-discarded", agent=caller.agent, entities=(f"job:{job}",))
                )
            return changed

        if not stores.database.write(change):
            raise NotFound("that job is completed or was discarded before")


def list_deliveries(
    ctx: typer.Context,
    state: Annotated[DeliveryState | None, typer.Option(help="pending, delivered or failed.")] = None,
    limit: Limit = 1000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List deliveries with their attempts and the reason of the last failure."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        entries = Outbox(stores.database).entries(state=state, limit=limit)
    rows = [
        {
            "id": e.id,
            "kind": e.kind,
            "destination": e.destination or "fhir",
            "state": e.state.value,
            "attempts": e.attempts,
            "study_uid": e.study_uid,
            "reference": e.reference,
            "reason": e.reason,
        }
        for e in entries
    ]
    emit_table(rows, as_json)


def retry_delivery(ctx: typer.Context, delivery: str, data_dir: DataDir = None) -> None:
    """Set a failed delivery up for another round of attempts."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:

        def change(connection: Connection) -> None:
            Outbox(stores.database).again(connection, delivery)
            stores.audit.append(
                connection, AuditRecord("job-retried", agent=caller.agent, entities=(f"delivery:{delivery}",))
            )

        stores.database.write(change)
