"""Records from an EHR: read, sealed as they came, put on record, de-identified, written out.

No model reads FHIR yet, so what is made here ends as NDJSON for people who may have de-identified data.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from osler.audit import Agent, AuditRecord
from osler.deidentify.fhir import FhirDeidentifier, known_people
from osler.deidentify.fhir.known import objects
from osler.deidentify.fhir.subjects import number_of
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.domain.identifiers import Identity, PseudonymKind
from osler.ehr_settings import Ehr
from osler.errors import ConfigError, DeidentificationRefused, InputRejected, OslerError, StorageFull
from osler.ingest.ehr.fhir_client import Received
from osler.ingest.ehr.record import PatientRecord, RecordReader, Refused
from osler.standards.fhir import Resource, dumps
from osler.storage.private_files import sync_folder
from osler.stores import Stores

_BATCH: Final = 500
"""Resources that are de-identified at a time."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one record.

    Parameters
    ----------
    patient : str
        Pseudonym.
    counts : mapping of str to int
        Resources written out, by type.
    documents : int
        Documents brought in from where they stood.
    not_read : mapping of str to int
        Documents left there, by reason.
    refused : tuple of Refused
    sealed : str
        Reference of what came, as it came, among the identified blobs.
    seconds : float
    """

    patient: str
    counts: Mapping[str, int]
    documents: int
    not_read: Mapping[str, int]
    refused: tuple[Refused, ...]
    sealed: str
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "patient": self.patient,
            "counts": dict(self.counts),
            "documents": {"read": self.documents, "not_read": dict(self.not_read)},
            "refused": [{"type": one.type, "rule": one.rule, "count": one.count} for one in self.refused],
            "sealed": self.sealed,
            "seconds": round(self.seconds, 3),
        }


class NdjsonFolder:
    """A folder with one NDJSON file a type; the files have their names when all of it is there.

    Parameters
    ----------
    folder : Path
        Made when missing; must be empty.

    Raises
    ------
    ConfigError
        If it is not empty, or cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            empty = not any(folder.iterdir())
        except OSError as error:
            raise ConfigError(f"{folder} cannot be made: {error.strerror}") from None
        if not empty:
            raise ConfigError(f"{folder} is not empty: give a new folder")
        self.folder = folder
        self._files: dict[str, IO[str]] = {}

    def write(self, resources: Sequence[Resource]) -> None:
        """Add the resources of one patient.

        Raises
        ------
        StorageFull
            If the disk does not take them; what is there then is no whole result.
        """
        try:
            for resource in resources:
                name = str(resource["resourceType"])
                if name not in self._files:
                    self._files[name] = self._part(name).open("x", encoding="utf-8")
                self._files[name].write(dumps(resource) + "\n")
            for file in self._files.values():
                file.flush()
        except OSError as error:
            raise StorageFull(f"the result cannot be written: {error.strerror}") from None

    def close(self, *, whole: bool) -> None:
        """Close the files, durably; without ``whole`` they stay ``.part``."""
        for file in self._files.values():
            with file:
                os.fsync(file.fileno())
        if whole:
            for name in self._files:
                self._part(name).rename(self.folder / f"{name}.ndjson")
            sync_folder(self.folder)

    def _part(self, name: str) -> Path:
        return self.folder / f"{name}.ndjson.part"


class EhrIntake:
    """Takes records of one EHR.

    Parameters
    ----------
    stores : Stores
    ehr : Ehr
    reader : RecordReader
    deidentifier : FhirDeidentifier
        With the pseudonyms of the vault of ``stores``.
    agent : Agent
        Who reads.
    clock : callable
        Monotonic seconds.
    """

    def __init__(
        self,
        stores: Stores,
        ehr: Ehr,
        reader: RecordReader,
        deidentifier: FhirDeidentifier,
        *,
        agent: Agent,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._ehr = ehr
        self._reader = reader
        self._deidentifier = deidentifier
        self._pseudonyms = VaultPseudonyms(stores.vault)
        self._agent = agent
        self._clock = clock

    def take(self, wanted: str, output: NdjsonFolder) -> Taken:
        """Read a record and write it out without identity. It is sealed and on record before anything is written.

        Parameters
        ----------
        wanted : str
            As :meth:`RecordReader.read` takes it.
        output : NdjsonFolder

        Raises
        ------
        DeidentificationRefused
            If the Patient himself cannot be made safe; nothing of the record is written.
        OslerError
            As :meth:`RecordReader.read`, or from the stores; nothing of the record is written.
        """
        started = self._clock()
        received = Received()
        try:
            record = self._reader.read(wanted, received)
        except OslerError as error:
            self._audit("ehr-record-read", outcome=8, error=type(error).__name__, answers=len(received.pages))
            raise
        sealed = self._stores.identified.put(received.sealed_form())
        patient = self._pseudonym(record)
        outcome = 4 if record.refused else 0
        count = 1 + len(record.resources)
        self._audit("ehr-record-read", patient, outcome=outcome, resources=count, blob=sealed)
        made, refused = self._deidentified(record)
        counts = Counter(str(resource["resourceType"]) for resource in made)
        refused = (*record.refused, *refused)
        self._audit(
            "ehr-record-deidentified", patient, outcome=4 if refused else 0, resources=len(made),
            refused=sum(one.count for one in refused),
        )  # fmt: skip
        output.write(made)
        return Taken(patient, counts, record.documents, record.not_read, refused, sealed, self._clock() - started)

    def _pseudonym(self, record: PatientRecord) -> str:
        issuers = self._ehr.issuer_of
        for node in objects([record.patient, record.resources]):
            if isinstance(node.get("value"), str) and node.get("system") in issuers:
                node["system"] = issuers[str(node["system"])]
                if not node["system"]:
                    del node["system"]
        number = number_of(record.patient.get("identifier"), of_patient=True)
        identity = number or Identity(PseudonymKind.PATIENT, str(record.patient["id"]), f"{record.base}/Patient")
        return self._pseudonyms.patient(identity.value, identity.issuer)

    def _deidentified(self, record: PatientRecord) -> tuple[list[Resource], tuple[Refused, ...]]:
        """De-identify the record as one story: whoever it names anywhere is looked for everywhere."""
        known = known_people(record.patient, *record.resources, *record.people)
        refused = Counter[tuple[str, str]]()
        (patient,) = self._story(record, [], known)
        made = [patient]
        waiting = [record.resources[i : i + _BATCH] for i in range(0, len(record.resources), _BATCH)]
        while waiting:
            batch = waiting.pop(0)
            try:
                made += self._story(record, batch, known)[1:]
            except InputRejected as rejected:
                if len(batch) == 1:
                    rule = rejected.rule if isinstance(rejected, DeidentificationRefused) else "malformed"
                    refused[str(batch[0]["resourceType"]), rule] += 1
                    continue
                middle = len(batch) // 2
                waiting[:0] = [batch[:middle], batch[middle:]]
        return made, tuple(Refused(name, rule, count) for (name, rule), count in sorted(refused.items()))

    def _story(self, record: PatientRecord, batch: Sequence[Resource], known: Mapping[str, Any]) -> list[Resource]:
        """De-identify some resources together with the Patient, under the base that their ids count from."""
        entries = [
            {"fullUrl": f"{record.base}/{one['resourceType']}/{one['id']}", "resource": one}
            for one in (record.patient, *batch)
        ]
        bundle: Resource = {"resourceType": "Bundle", "type": "collection", "entry": entries}
        people = {name: value for name, value in known.items() if name != "resourceType"}
        safe = self._deidentifier.resource(bundle, {"resourceType": "Person", **people})
        made = [entry["resource"] for entry in safe["entry"]]
        if len(made) != len(entries):
            raise DeidentificationRefused("not-told-apart", "a resource was lost among others")
        return made

    def _audit(self, event: str, patient: str | None = None, *, outcome: int, **detail: str | int) -> None:
        self._stores.audit.record(
            AuditRecord(
                event,
                agent=self._agent,
                outcome=outcome,
                patient=patient,
                entities=(f"ehr:{self._ehr.name}",),
                detail=detail,
            )
        )
