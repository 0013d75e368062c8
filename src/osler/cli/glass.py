"""``osler access reviews|review``: who broke the glass, and what a privacy officer found."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import Connection

from osler.api.people.glass import BrokenGlass
from osler.api.people.roles import Role
from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit_table
from osler.cli.person import As, PasswordStdin, admit

_REVIEWERS = frozenset({Role.PRIVACY_OFFICER})


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Broken glass: who saw restricted records, and why.", no_args_is_help=True)
    group.command("reviews")(list_reviews)
    group.command("review")(review)
    app.add_typer(group, name="access")


def list_reviews(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were reviewed.")] = False,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the times that the glass was broken and nobody has reviewed."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=_REVIEWERS)
        glass = BrokenGlass(stores.database, sealer=stores.keyring.sealer("record"))
        openings = glass.list(unreviewed=not everything)
        accesses = [glass.accesses(opening) for opening in openings]
        stores.audit.record(AuditRecord("glass-listed", agent=agent, detail={"count": len(openings)}))
    rows = [
        {
            "id": o.id,
            "person": o.person,
            "patient": o.patient,
            "opened_at": _written(o.opened_at),
            "ends_at": _written(o.ends_at),
            "reason": o.reason,
            "accesses": count,
            "reviewed_by": o.reviewed_by,
            "review": o.review,
        }
        for o, count in zip(openings, accesses, strict=True)
    ]
    emit_table(rows, as_json)


def review(
    ctx: typer.Context,
    opening_id: Annotated[str, typer.Argument(metavar="ID", help="As osler access reviews lists it.")],
    words: Annotated[str, typer.Option(help="What was found, ten characters or more.")],
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
) -> None:
    """Mark one as reviewed, with words."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=_REVIEWERS)
        glass = BrokenGlass(stores.database, sealer=stores.keyring.sealer("record"))

        def change(connection: Connection) -> None:
            now = datetime.now(UTC).timestamp()
            found = glass.review(connection, opening_id, words, by=agent.name, now=now)
            stores.audit.append(connection, found.reviewed(agent))

        stores.database.write(change)


def _written(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, tz=UTC).isoformat(timespec="seconds")
