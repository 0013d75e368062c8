"""From a result under pseudonyms back to the study and the patient that it belongs to, or not at all.

Three witnesses must agree before anything is sent: the ledger (which file was taken for which study and patient), the
vault (whose pseudonym this is) and the file itself (whom its header names). A result of the wrong patient cannot pass.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pydicom
from sqlalchemy import Connection, Row, select

from osler.domain.events import Recorded
from osler.domain.identifiers import Identity, InstanceIdentity, PseudonymKind
from osler.errors import IntegrityError, Malformed
from osler.publish.header import quietly
from osler.standards.dicom import patient_identity, read_identity
from osler.storage import Database
from osler.storage.tables import instance, study


class Vault(Protocol):
    """What re-identification needs of the vault."""

    def lookup(self, identity: Identity) -> bytes:
        """Return the keyed index of an identity."""
        ...

    def reverse(self, pseudonyms: Sequence[str]) -> list[Identity]:
        """Return the identities behind pseudonyms, in order; one audit event."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class SourceInstance:
    """An instance as it was received, identified.

    Parameters
    ----------
    identity : InstanceIdentity
    header : pydicom.Dataset
        Without the pixel data.
    content : callable
        Reads the Part 10 file.
    """

    identity: InstanceIdentity
    header: pydicom.Dataset
    content: Callable[[], bytes]


@dataclass(frozen=True, slots=True, repr=False)
class SourceSeries:
    """One series of the study: its first instance, and how many instances of it were taken."""

    first: SourceInstance
    instances: int


@dataclass(frozen=True, slots=True, repr=False)
class IdentifiedStudy:
    """The study behind a result, identified. It never leaves the identified zone.

    Parameters
    ----------
    study_uid, patient : str
        Pseudonyms.
    read : mapping of str to SourceInstance
        The instances that the model read, by pseudonymous SOP Instance UID, in the order of the result.
    series : mapping of str to SourceSeries
        All series of the study, by pseudonymous Series Instance UID.
    """

    study_uid: str
    patient: str
    read: Mapping[str, SourceInstance]
    series: Mapping[str, SourceSeries]

    @property
    def first(self) -> SourceInstance:
        """The first instance that was read; patient and study are described by its header."""
        return next(iter(self.read.values()))


class Reidentifier:
    """Finds the study behind a result.

    Parameters
    ----------
    database : Database
    vault : Vault
    fetch : callable
        Reads an identified blob.
    """

    def __init__(self, database: Database, vault: Vault, fetch: Callable[[str], bytes]) -> None:
        self._database = database
        self._vault = vault
        self._fetch = fetch

    def source(self, recorded: Recorded) -> IdentifiedStudy:
        """Find the study, and check that ledger, vault and headers agree on whose it is.

        Raises
        ------
        IntegrityError
            If they do not, or if something of the study is missing. Nothing may be sent then.
        """
        wanted = tuple(dict.fromkeys(uid for r in recorded.inference.results for uid in r.sop_instance_uids))
        if not wanted:
            raise IntegrityError("a result without instances cannot be given back to a study")
        with self._database.read() as connection:
            row = _study(connection, recorded.inference.study_instance_uid)
            rows = _instances(connection, row.id, recorded.revision)
        by_uid = {r.sop_uid: r for r in rows}
        if not set(wanted) <= by_uid.keys():
            raise IntegrityError("a result names an instance that its study does not have")
        known = self._known((row.patient, row.study_uid, *wanted))
        self._check_ledger(row, known)
        read = {uid: self._instance(by_uid[uid]) for uid in wanted}
        for uid, one in read.items():
            self._check(one, by_uid[uid], known, row)
        return IdentifiedStudy(row.study_uid, row.patient, read, self._series(rows, read, known, row))

    def whose(self, patient: str) -> Identity:
        """Return who a patient is: for one that the study's own was merged into, whom no header names."""
        (identity,) = self._vault.reverse([patient])
        return identity

    def _known(self, pseudonyms: Sequence[str]) -> dict[str, Identity]:
        return dict(zip(pseudonyms, self._vault.reverse(pseudonyms), strict=True))

    def _check_ledger(self, row: Row[Any], known: Mapping[str, Identity]) -> None:
        agree = (
            known[row.study_uid].kind is PseudonymKind.UID,
            known[row.patient].kind is PseudonymKind.PATIENT,
            self._vault.lookup(known[row.study_uid]) == row.lookup,
        )
        if not all(agree):
            raise IntegrityError("the ledger and the vault disagree on whose study this is")

    def _check(self, one: SourceInstance, row: Row[Any], known: Mapping[str, Identity], study_row: Row[Any]) -> None:
        """Compare what the header says with the vault, value by value."""
        identity = one.identity
        agree = (
            identity.study_instance_uid == known[study_row.study_uid].value,
            self._vault.lookup(patient_identity(identity)) == self._vault.lookup(known[study_row.patient]),
            row.sop_uid not in known or identity.sop_instance_uid == known[row.sop_uid].value,
            self._vault.lookup(Identity(PseudonymKind.UID, identity.sop_instance_uid)) == row.lookup,
            self._vault.lookup(patient_identity(identity)) == study_row.patient_lookup,
        )
        if not all(agree):
            raise IntegrityError("a received file and the vault disagree on whose study this is")

    def _series(
        self,
        rows: Iterable[Row[Any]],
        read: Mapping[str, SourceInstance],
        known: Mapping[str, Identity],
        study_row: Row[Any],
    ) -> dict[str, SourceSeries]:
        by_series: dict[str, list[Row[Any]]] = {}
        for row in rows:
            by_series.setdefault(row.series_uid, []).append(row)
        found: dict[str, SourceSeries] = {}
        for series_uid, members in by_series.items():
            chosen = next((m for m in members if m.sop_uid in read), members[0])
            first = read.get(chosen.sop_uid) or self._instance(chosen)
            self._check(first, chosen, known, study_row)
            found[series_uid] = SourceSeries(first, len(members))
        return found

    def _instance(self, row: Row[Any]) -> SourceInstance:
        content = self._fetch(row.blob)
        try:
            return SourceInstance(read_identity(content), read_header(content), lambda: self._fetch(row.blob))
        except Malformed:
            raise IntegrityError("a received file can no longer be read") from None


def read_header(content: bytes) -> pydicom.Dataset:
    """Read a Part 10 file up to the pixel data.

    Raises
    ------
    Malformed
        If it cannot be read.
    """
    with quietly():
        try:
            return pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
        except (pydicom.errors.InvalidDicomError, ValueError, EOFError, OSError, AttributeError, TypeError):
            raise Malformed("the file cannot be read as DICOM") from None


def _study(connection: Connection, study_uid: str) -> Row[Any]:
    rows = connection.execute(select(study).where(study.c.study_uid == study_uid)).all()
    if len(rows) != 1 or not rows[0].patient:
        raise IntegrityError("the ledger does not have the study of this result")
    return rows[0]


def _instances(connection: Connection, study_id: str, revision: int) -> list[Row[Any]]:
    return list(
        connection.execute(
            select(instance)
            .where(
                instance.c.study_id == study_id,
                instance.c.state == "deidentified",
                instance.c.revision <= revision,
            )
            .order_by(instance.c.series_uid, instance.c.received_at, instance.c.id)
        )
    )
