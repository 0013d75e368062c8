"""``osler audit who|disclosures``: what the log says about one patient, for a privacy officer."""

import csv
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from sqlalchemy import Connection, or_, select

from osler.api.people.roles import REVIEWING
from osler.api.smart.clients import ClientStore
from osler.audit import Agent, AuditRecord
from osler.audit.accounting import Party, disclosures, known_as, who_saw
from osler.cli.caller import Caller, DataDir, Json, emit, emit_table
from osler.cli.person import As, PasswordStdin, admit
from osler.domain.reach import EVERYTHING
from osler.errors import ConfigError, NotFound
from osler.standards.fhir_query import parse_query
from osler.storage.tables import audit_event, patient_merge, pseudonym
from osler.storage.tables import resource as resources
from osler.stores import Stores

Patient = Annotated[
    str, typer.Argument(metavar="PATIENT", help="Logical id of the Patient, or an identifier: [SYSTEM|]VALUE.")
]
Since = Annotated[str | None, typer.Option(help="ISO 8601 time.")]
Until = Annotated[str | None, typer.Option(help="ISO 8601 time; up to before it.")]

_YEARS: Final = 6  # 45 CFR 164.528(a)(1)
_FORMULA: Final = re.compile(r"[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question: whom it is about, in what time, and who asks."""

    patients: tuple[str, ...]
    since: float | None
    until: float | None
    agent: Agent

    @property
    def document(self) -> dict[str, Any]:
        """What an answer begins with."""
        return {"patients": list(self.patients), "since": _written(self.since), "until": _written(self.until)}


def who(
    ctx: typer.Context,
    patient: Patient,
    since: Since = None,
    until: Until = None,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Tell who saw a patient, the latest first; patients that were merged count as one."""
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=REVIEWING)
        asked = _asked(stores, patient, moment(since), moment(until), agent)
        names = _client_names(stores)
        with stores.database.read() as connection:
            found = who_saw(connection, asked.patients, since=asked.since, until=asked.until)
        _on_record(stores, asked, "audit-searched", len(found))
    rows = [
        {
            **_party(one.party, names),
            "first": _written(one.first_at),
            "last": _written(one.last_at),
            "count": one.count,
            "events": one.events if as_json else _counted(one.events),
        }
        for one in found
    ]
    _show(asked.document | {"who": rows}, rows, as_json)


def list_disclosures(
    ctx: typer.Context,
    patient: Patient,
    since: Since = None,
    until: Until = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, to hand out.")] = False,
    name: As = None,
    password_stdin: PasswordStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Account for what of a patient left the hub, to whom and why (45 CFR 164.528); in six years, if not told."""
    if as_csv and as_json:
        raise ConfigError("give --csv or --json, not both")
    caller: Caller = ctx.obj
    with caller.stores(data_dir) as stores:
        agent = admit(caller, stores, data_dir, name=name, from_stdin=password_stdin, roles=REVIEWING)
        asked = _asked(stores, patient, moment(since) or _years_ago(datetime.now(UTC)), moment(until), agent)
        names = _client_names(stores)
        with stores.database.read() as connection:
            found = disclosures(connection, asked.patients, since=asked.since, until=asked.until)
        _on_record(stores, asked, "disclosures-listed", len(found))
    rows = [
        {
            "first": _written(one.first_at),
            "last": _written(one.last_at),
            "count": one.count,
            **_party(one.party, names),
            "address": one.address,
            "what": one.what if as_json else _counted(one.what),
            "event": one.event,
            "purpose": one.purpose,
        }
        for one in found
    ]
    if as_csv:
        _print_csv(rows)
    else:
        _show(asked.document | {"disclosures": rows}, rows, as_json)


def moment(text: str | None) -> float | None:
    """Read an ISO 8601 time; without a zone it is UTC.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not an ISO 8601 time, such as 2026-11-24T08:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _asked(stores: Stores, patient: str, since: float | None, until: float | None, agent: Agent) -> _Asked:
    """Find the patient; that there is none is on record too."""
    try:
        with stores.database.read() as connection:
            ids = {patient} if _is_known(connection, patient) else _with_identifier(stores, connection, patient)
            found = {known_as(connection, logical_id) for logical_id in ids}
        if not found:
            raise NotFound("there is no patient of that id or identifier")
        if len({names[0] for names in found}) > 1:
            raise NotFound("several patients have that identifier: add its system, or give the logical id")
    except NotFound:
        stores.audit.record(AuditRecord("audit-searched", agent=agent, outcome=4, detail={"reason": "NotFound"}))
        raise
    return _Asked(tuple(dict.fromkeys(name for names in sorted(found) for name in names)), since, until, agent)


def _is_known(connection: Connection, patient: str) -> bool:
    """Tell whether something is the logical id of a patient, or was."""
    column, merges = audit_event.c, patient_merge.c
    places = (
        select(resources.c.id).where(resources.c.type == "Patient", resources.c.id == patient),
        select(pseudonym.c.pseudonym).where(pseudonym.c.kind == "patient", pseudonym.c.pseudonym == patient),
        select(merges.patient).where(or_(merges.patient == patient, merges.survivor == patient)),
        select(column.patient).where(column.patient == patient),
    )
    return any(connection.execute(place.limit(1)).first() is not None for place in places)


def _with_identifier(stores: Stores, connection: Connection, identifier: str) -> set[str]:
    exact = re.sub(r"([\\,$])", r"\\\1", identifier)
    query = parse_query("Patient", [("identifier", exact)], now=0.0)
    page = stores.search.search_in(connection, query, lambda _type, _right: EVERYTHING)
    return {match.id for match in page.matches}


def _on_record(stores: Stores, asked: _Asked, event: str, count: int) -> None:
    """Write the question down, before it is answered, for each name that the patient has had."""
    detail: dict[str, str | int] = {"found": count}
    stores.audit.record(
        *(AuditRecord(event, agent=asked.agent, patient=patient, detail=detail) for patient in asked.patients)
    )


def _client_names(stores: Stores) -> Mapping[str, str]:
    return {client.id: client.name for client in ClientStore(stores.database).list()}


def _party(party: Party, clients: Mapping[str, str]) -> dict[str, str]:
    def named(client_id: str) -> str:
        return f"{clients[client_id]} ({client_id})" if client_id in clients else client_id

    name = named(party.name) if party.kind == "client" else party.name
    return {"who": name, "kind": party.kind, "via": named(party.via)}


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _show(document: Mapping[str, Any], rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    def draw(console: Console) -> None:
        console.print(f"patient {', '.join(document['patients'])}", markup=False)
        emit_table(rows, as_json=False)

    emit(document, as_json, draw)


def _print_csv(rows: Sequence[Mapping[str, object]]) -> None:
    columns = ("first", "last", "count", "who", "kind", "via", "address", "what", "event", "purpose")
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    writer.writerows([_plain(str(row[column])) for column in columns] for row in rows)


def _plain(cell: str) -> str:
    """Keep a spreadsheet from reading a name as a formula."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def _years_ago(now: datetime) -> float:
    day = 28 if (now.month, now.day) == (2, 29) else now.day
    return now.replace(year=now.year - _YEARS, day=day).timestamp()


def _written(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
