"""Orders by accession, and what merges have done to patients."""

from sqlalchemy import Connection, delete, select, update

from osler.domain.states import Priority
from osler.storage.tables import imaging_order, patient_merge

_RANK = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 2}


def keep_order(
    connection: Connection,
    request_id: str,
    *,
    accession: bytes | None,
    patient: bytes,
    priority: Priority,
    status: str,
) -> None:
    """Keep what the flow needs of an order: ``request_id`` names its ServiceRequest; the others are keyed indices."""
    connection.execute(delete(imaging_order).where(imaging_order.c.id == request_id))
    row = {"id": request_id, "accession": accession, "patient": patient, "priority": priority, "status": status}
    connection.execute(imaging_order.insert(), row)


def orders_for(connection: Connection, *, accession: bytes, patient: bytes) -> list[tuple[str, Priority]]:
    """Return the orders with an accession that are for the same record number, the most urgent first.

    Both must agree: accession numbers are given out again, and typed wrongly.
    """
    found = connection.execute(
        select(imaging_order.c.id, imaging_order.c.priority).where(
            imaging_order.c.accession == accession,
            imaging_order.c.patient == patient,
            imaging_order.c.status != "revoked",
        )
    )
    orders = [(row.id, Priority(row.priority)) for row in found]
    return sorted(orders, key=lambda one: (_RANK[one[1]], one[0]))


def merge(connection: Connection, patient: str, survivor: str, *, now: float) -> None:
    """Note that a patient is another one from now on, with all that were merged into it before.

    What is about it remains to be moved: see :func:`moving`.
    """
    if patient == survivor:
        return
    connection.execute(
        update(patient_merge).where(patient_merge.c.survivor == patient).values(survivor=survivor, merged_at=now)
    )
    connection.execute(delete(patient_merge).where(patient_merge.c.patient.in_((patient, survivor))))
    row = {"patient": patient, "survivor": survivor, "merged_at": now, "moving": True}
    connection.execute(patient_merge.insert(), row)


def moving(connection: Connection) -> list[str]:
    """Return the patients whose merge is not whole yet, the earliest first."""
    wanted = select(patient_merge.c.patient).where(patient_merge.c.moving)
    found = connection.execute(wanted.order_by(patient_merge.c.merged_at, patient_merge.c.patient))
    return list(found.scalars())


def moved(connection: Connection, patient: str) -> None:
    """Note that all that was about a patient is about its survivor now."""
    connection.execute(update(patient_merge).where(patient_merge.c.patient == patient).values(moving=False))


def survivor_of(connection: Connection, patient: str) -> str:
    """Return who a patient is now: the one that it was merged into, or itself."""
    found = connection.execute(
        select(patient_merge.c.survivor).where(patient_merge.c.patient == patient)
    ).scalar_one_or_none()
    return patient if found is None else str(found)
