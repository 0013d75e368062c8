"""The audit log: entries go in with the change that they describe, and never change again."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Row, Select, select

from osler.audit.bodies import bodies
from osler.audit.checkpoints import Checkpoint, CheckpointFile
from osler.audit.event import EVENTS, AuditRecord
from osler.audit.head import Head, first_head, move_head, read_head
from osler.audit.signing import entry_hash
from osler.audit.verify import VerifyReport, verify_chain
from osler.errors import IntegrityError
from osler.storage.database import Database, insert_rows
from osler.storage.tables import audit_event

_PAGE = 500


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the log; ``resource`` is its FHIR AuditEvent."""

    seq: int
    recorded_at: float
    event: str
    action: str
    outcome: int
    agent: str
    patient: str | None
    resource: dict[str, Any]


class AuditLog:
    """The hash-chained log in the ledger.

    Parameters
    ----------
    database : Database
    signing_key : Ed25519PrivateKey
        Signs the head of the chain and the checkpoints.
    checkpoints : Path
        File outside the database, best on another disk or a write-once mount.
    site : str
        Name of the observer in the entries.
    address : str
        URL of the observer: without it no entry has all that a profile of IHE BALP demands.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        database: Database,
        *,
        signing_key: Ed25519PrivateKey,
        checkpoints: Path,
        site: str = "Osler",
        address: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._key = signing_key
        self._public_key = signing_key.public_key()
        self._checkpoints = CheckpointFile(checkpoints)
        self._site = site
        self._address = address
        self._clock = clock
        self._head: Head | None = None  # as this process left it; others may have moved it since

    def append(self, connection: Connection, *records: AuditRecord) -> None:
        """Add entries within the transaction of the caller: they are durable when, and only when, it is.

        Raises
        ------
        IntegrityError
            If the head of the chain is not one that this hub signed.
        StorageBusy, StorageFull
            From ``Database.write``. Whoever gets one must not answer.
        """
        if not records:
            return
        if self._head is not None and self._extend(connection, self._head, records):
            return
        if not self._extend(connection, self._locked_head(connection), records):
            raise IntegrityError("the head of the audit log changed under its lock")

    def _extend(self, connection: Connection, head: Head, records: Sequence[AuditRecord]) -> bool:
        """Add entries after a head; False, with nothing done, when it is not the head any more."""
        recorded_at = round(self._clock(), 3)
        seq, previous, rows = head.seq, head.hash, []
        written = bodies(records, after=seq, recorded_at=recorded_at, site=self._site, address=self._address)
        for record, body in zip(records, written, strict=True):
            seq += 1
            row = {
                "recorded_at": recorded_at,
                "kind": record.event,
                "action": EVENTS[record.event].action,
                "outcome": str(record.outcome),
                "agent": record.agent.name,
                "patient": record.patient,
                "body": body,
            }
            digest = entry_hash(previous, seq, tuple(row.values()))
            rows.append({"seq": seq, **row, "previous": previous, "hash": digest})
            previous = digest
        new = Head.sign(self._key, seq, previous)
        if not move_head(connection, head, new):
            return False
        insert_rows(connection, audit_event, rows)
        self._head = new
        return True

    def record(self, *records: AuditRecord) -> None:
        """Add entries in a transaction of their own; durable when this returns."""
        self._database.write(lambda connection: self.append(connection, *records))

    def checkpoint(self) -> bool:
        """Write how far the chain reaches to the file outside the database; False when nothing is new.

        Raises
        ------
        IntegrityError
            If the head is not signed, or the database is not one that goes on from the last checkpoint.
        StorageBusy
            If the database or the file does not answer.
        """
        last = self._checkpoints.last()
        with self._database.read() as connection:
            head = read_head(connection)
            if last is not None and last.seq:
                there = connection.execute(select(audit_event.c.hash).where(audit_event.c.seq == last.seq)).scalar()
                if there != last.hash:
                    raise IntegrityError(f"entry {last.seq} of the audit log is not the one of the last checkpoint")
        if head is None:
            return False
        self._prove(head)
        return self._checkpoints.append(Checkpoint.sign(self._key, head.seq, head.hash, round(self._clock(), 3)))

    def lag(self) -> tuple[int, float | None]:
        """Return how many entries no checkpoint covers, and when the last checkpoint was made; None without any."""
        last = self._checkpoints.last()
        with self._database.read() as connection:
            head = read_head(connection)
        return (head.seq if head else 0) - (last.seq if last else 0), last.at if last else None

    def verify(self) -> VerifyReport:
        """Check every entry, the head and every checkpoint; memory stays bounded."""
        return verify_chain(self._database, self._public_key, self._checkpoints)

    def search(
        self,
        *,
        patient: str | None = None,
        agent: str | None = None,
        event: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
    ) -> list[AuditEntry]:
        """Return the entries that match, the latest first.

        Parameters
        ----------
        patient, agent, event : str, optional
            Pseudonym, name, event name.
        since, until : float, optional
            Seconds since the epoch, UTC; from ``since`` to before ``until``.
        limit : int
        """
        column = audit_event.c
        query = _between(select(audit_event), since, until).order_by(column.recorded_at.desc(), column.seq.desc())
        for wanted, has in ((patient, column.patient), (agent, column.agent), (event, column.kind)):
            if wanted is not None:
                query = query.where(has == wanted)
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query.limit(limit))]

    def export(self, stream: IO[str], *, since: float | None = None, until: float | None = None) -> int:
        """Write the entries as NDJSON, one FHIR AuditEvent a line, the earliest first; return how many.

        The caller audits the export itself, before it.
        """
        count, after = 0, 0
        query = _between(select(audit_event.c.seq, audit_event.c.body), since, until).order_by(audit_event.c.seq)
        with self._database.read() as connection:
            while rows := connection.execute(query.where(audit_event.c.seq > after).limit(_PAGE)).all():
                stream.writelines(f"{row.body}\n" for row in rows)
                count, after = count + len(rows), rows[-1].seq
        return count

    def _locked_head(self, connection: Connection) -> Head:
        head = read_head(connection, lock=True)
        if head is not None:
            self._prove(head)
            return head
        if connection.execute(select(audit_event.c.seq).limit(1)).first() is not None:
            raise IntegrityError("the audit log has entries but no head")
        return first_head(connection, self._key)

    def _prove(self, head: Head) -> None:
        if not head.holds(self._public_key):
            raise IntegrityError("the head of the audit log is not signed by this hub")


def _between(query: Select[Any], since: float | None, until: float | None) -> Select[Any]:
    if since is not None:
        query = query.where(audit_event.c.recorded_at >= since)
    if until is not None:
        query = query.where(audit_event.c.recorded_at < until)
    return query


def _entry(row: Row[Any]) -> AuditEntry:
    try:
        return AuditEntry(
            seq=row.seq,
            recorded_at=row.recorded_at,
            event=row.kind,
            action=row.action,
            outcome=int(row.outcome),
            agent=row.agent,
            patient=row.patient,
            resource=json.loads(row.body),
        )
    except ValueError:
        raise IntegrityError(f"entry {row.seq} of the audit log cannot be read") from None
