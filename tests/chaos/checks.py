"""What must be true when all has come to rest: nothing lost, nothing doubled, nothing missing in the audit."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, Table, func, select

from acceptance.running import RunningHub
from chaos.load import Load
from chaos.place import Place
from osler.storage.tables import audit_event, hl7_message, inference, instance, job, outbox, resource, study


def settled(place: Place, load: Load) -> bool:
    """Whether everything that was acknowledged is through, and nothing is under way."""
    place.arrivals.look()
    if not load.at_rest or len(place.arrivals.alerts) < len(load.studies):
        return False
    if not load.studies.keys() <= place.arrivals.documents.keys():
        return False
    with place.ledger.read() as connection:
        open_jobs = select(func.count()).select_from(job).where(job.c.state != "completed")
        pending = select(func.count()).select_from(outbox).where(outbox.c.state != "delivered")
        done = select(func.count()).select_from(outbox)
        return (
            connection.execute(open_jobs).scalar_one() == 0
            and connection.execute(pending).scalar_one() == 0
            and connection.execute(done).scalar_one() >= 3 * len(load.studies)
        )


def problems(place: Place, load: Load) -> list[str]:
    """Return what is lost, doubled or missing; nothing must be under way."""
    return [*_at_peers(place, load), *_in_ledger(place, load), *_audit(place.hub)]


def _at_peers(place: Place, load: Load) -> Iterator[str]:
    place.arrivals.look()
    documents, alerts = place.arrivals.documents, place.arrivals.alerts
    sent = load.studies.keys()
    yield from _unless("studies without an SR (lost)", len(sent - documents.keys()), 0)
    yield from _unless("SRs of studies that nobody sent", len(documents.keys() - sent), 0)
    yield from _unless("studies with more than one SR (doubled)", sum(len(d) > 1 for d in documents.values()), 0)
    yield from _unless("studies with an alert", len(alerts), len(sent))
    yield from _unless("studies with more than one alert (doubled)", sum(len(a) > 1 for a in alerts.values()), 0)
    yield from _unless("alerts with a signature that does not hold", place.arrivals.unsigned, 0)


def _in_ledger(place: Place, load: Load) -> Iterator[str]:
    studies, messages = len(load.studies), len(load.messages)
    with place.ledger.read() as connection:
        for table in (study, instance, job, inference):
            yield from _unless(f"rows of {table.name}", _count(connection, table), studies)
        held = _count(connection, instance, instance.c.state != "deidentified")
        yield from _unless("instances that were not de-identified", held, 0)
        yield from _unless("jobs completed", _count(connection, job, job.c.state == "completed"), studies)
        for kind in ("fhir", "sr", "alert"):
            arrived = _count(connection, outbox, outbox.c.kind == kind, outbox.c.state == "delivered")
            yield from _unless(f"deliveries of {kind}", arrived, studies)
        for kind in ("DiagnosticReport", "Observation", "ImagingStudy"):
            yield from _unless(f"FHIR {kind}", _count(connection, resource, resource.c.type == kind), studies)
        twice = _count(connection, resource, resource.c.type == "DiagnosticReport", resource.c.version > 1)
        yield from _unless("reports that were written twice (doubled)", twice, 0)
        patients = _count(connection, resource, resource.c.type == "Patient")
        yield from _unless("FHIR Patient", patients, studies + messages)
        yield from _unless("HL7 v2 messages", _count(connection, hl7_message), messages)
        for event, wanted in {
            "inference-recorded": studies,
            "result-published": studies,
            "result-disclosed": studies,
            "alert-raised": studies,
            "message-received": messages,
        }.items():
            found = _count(connection, audit_event, audit_event.c.kind == event)
            yield from _unless(f"audit events {event}", found, wanted)


def _audit(hub: RunningHub) -> Iterator[str]:
    said = hub.json("audit", "verify", ok=(0, 1))
    if not said["verified"]:
        yield f"the audit does not verify: {said['problems'][:5]}"


def _count(connection: Connection, table: Table, *conditions: ColumnElement[bool]) -> int:
    return int(connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


def _unless(what: str, found: int, wanted: int) -> Iterator[str]:
    if found != wanted:
        yield f"{what}: {found}, not {wanted}"
