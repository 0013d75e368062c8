"""A ledger with its vault, audit and blobs in a folder, and studies filed in it: for tests of record and publish."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from osler.audit import Agent, AuditLog, create_signing_key, read_signing_key
from osler.domain.codes import Code
from osler.domain.events import Deidentified, DeidentifiedInstance, Job
from osler.domain.findings import CaseResult, Finding, Inference, ModelVersion
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.states import AgeBand, Priority
from osler.queue.embedded import EmbeddedQueue
from osler.standards.dicom import patient_identity, read_identity
from osler.storage import Database, migrate, studies
from osler.storage.blobs import FolderBlobs
from osler.storage.database import sqlite_url
from osler.testing.results import MODEL, PNEUMONIA
from osler.vault import KeyRing, Vault


class Ledger:
    """The real stores, in a folder.

    Parameters
    ----------
    folder : Path
    url : str, optional
        Of the database; SQLite in the folder when not given.
    """

    def __init__(self, folder: Path, *, url: str | None = None) -> None:
        self.database = Database(url or sqlite_url(folder / "osler.db"))
        migrate.upgrade(self.database)
        create_signing_key(folder / "audit.key")
        self.keyring = KeyRing.open(self.database, master_key=secrets.token_bytes(32), tenant="test")
        self.audit = AuditLog(
            self.database,
            signing_key=read_signing_key(folder / "audit.key"),
            checkpoints=folder / "checkpoints.jsonl",
        )
        self.vault = Vault(self.database, self.keyring, self.audit)
        self.identified = FolderBlobs(folder / "identified", sealer=self.keyring.sealer("blob"))
        self.deidentified = FolderBlobs(folder / "deidentified")
        self.queue = EmbeddedQueue(self.database)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def lookup(self, identity: Identity) -> bytes:
        """Return the keyed index of an identity."""
        return self.vault.lookup(identity)

    def reverse(self, pseudonyms: Sequence[str]) -> list[Identity]:
        """Return the identities behind pseudonyms."""
        return self.vault.reverse(pseudonyms, agent=Agent("test", "system"), reason="test")

    def file(self, *contents: bytes, at: float = 1_767_346_000.0) -> Deidentified:
        """File instances of one study as received and de-identified; a second call makes the next revision."""
        for content in contents:
            arrival = self._arrival(content, at)
            self.database.write(lambda c, arrival=arrival: studies.file_instance(c, arrival))  # type: ignore[misc]
        self.database.write(lambda c: studies.complete_studies(c, now=at + 60, quiet_s=0, force_s=0))
        claim = self.database.write(lambda c: studies.claim_complete(c, owner="test", now=at + 60, lease_s=60))
        assert claim is not None
        for instance_id, blob, _ in claim.instances:
            made, study_uid, patient = self._pseudonymise(self.identified.get(blob))
            self.database.write(lambda c, i=instance_id, m=made: studies.mark_deidentified(c, i, m))  # type: ignore[misc]
        with self.database.read() as connection:
            instances = tuple(studies.deidentified_instances(connection, claim.study_id))
        safe = Deidentified(study_uid, claim.revision, instances, AgeBand.YOUNG_CHILD, Priority.MEDIUM)
        self.database.write(lambda c: studies.close_revision(c, claim, safe, patient=patient, accession=None))
        return safe

    def _arrival(self, content: bytes, at: float) -> studies.Arrival:
        identity = read_identity(content)
        return studies.Arrival(
            study_lookup=self.lookup(Identity(PseudonymKind.UID, identity.study_instance_uid)),
            patient_lookup=self.lookup(patient_identity(identity)),
            sop_lookup=self.lookup(Identity(PseudonymKind.UID, identity.sop_instance_uid)),
            blob=self.identified.put(content),
            size=len(content),
            sop_class_uid=identity.sop_class_uid,
            transfer_syntax_uid=identity.transfer_syntax_uid,
            source="folder",
            priority=Priority.MEDIUM,
            received_at=at,
        )

    def _pseudonymise(self, content: bytes) -> tuple[DeidentifiedInstance, str, str]:
        """Return the instance under pseudonyms, and those of its study and patient; the pixels stay as they are."""
        identity = read_identity(content)
        uids = (identity.study_instance_uid, identity.series_instance_uid, identity.sop_instance_uid)
        study_uid, series_uid, sop_uid, patient = self.vault.pseudonyms(
            [*(Identity(PseudonymKind.UID, uid) for uid in uids), patient_identity(identity)]
        )
        blob = self.deidentified.put(content)
        return DeidentifiedInstance(sop_uid, series_uid, identity.sop_class_uid, blob), study_uid, patient

    def job(self, study: Deidentified, model: ModelVersion = MODEL) -> Job:
        """Queue a study for a model and claim the job."""
        self.database.write(lambda c: self.queue.put(c, study, str(model)))
        (job,) = self.queue.claim("test", models=[str(model)], limit=1)
        return job


def inference_on(
    study: Deidentified, *, probability: float = 0.93, threshold: float = 0.5, code: Code = PNEUMONIA,
    heatmap: str | None = None, outside: Sequence[str] = (),
) -> Inference:  # fmt: skip
    """Make an inference of the made-up model on a filed study, one case for each instance."""
    finding = Finding("pneumonia", code, probability, threshold, critical=True)
    cases = tuple(
        CaseResult(i.series_instance_uid, (i.sop_instance_uid,), (finding,), tuple(outside), heatmap=heatmap)
        for i in study.instances
    )
    return Inference(study.study_instance_uid, MODEL, cases)
