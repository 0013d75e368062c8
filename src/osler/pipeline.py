"""READ FIRST. The six steps, in order, each in one transaction with its audit entry.

::

    accept ──> complete ──> deidentify ──> (queue) ──> infer ──> record ──> publish
    identified zone        │ de-identified zone                │ identified zone again

``ingest`` hands in what a peer sent (:meth:`Pipeline.accept`), and the sender gets its acknowledgement when that has
returned. What waits for de-identification, inference and delivery stands in the ledger, so a step that is killed is
begun again by whoever asks next; every effect is idempotent.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import structlog
from sqlalchemy import Connection, select

from osler.audit import HUB, AuditRecord
from osler.config import Config
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.deidentify.study import Held, Made, checked_options, deidentified_study, deidentify_instances
from osler.domain.events import Deidentified, Job, Received
from osler.domain.findings import Inference
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.inference_json import loads
from osler.domain.states import URGENT, AgeBand, Priority
from osler.errors import ContractViolation, InputRejected, IntegrityError, PluginError, StorageBusy, Transient
from osler.infer.contract import check_handed_in
from osler.metrics import Metrics, timed
from osler.monitor.flow import FlowWatch
from osler.plugins import Card
from osler.publish.delivery import Publisher
from osler.record import save
from osler.record.heatmaps import with_heatmaps
from osler.registry.lineup import Lineup
from osler.standards.dicom import patient_identity
from osler.storage import edge_outbox, handed_in, spokes, studies
from osler.storage.model_roles import set_role
from osler.storage.orders import orders_for
from osler.storage.tables import study as study_table
from osler.stores import Stores
from osler.tracing import Tracer, trace_of

_CLAIM_S = 60.0
_TAKEN_IN = 64

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The process that runs the steps.

    Parameters
    ----------
    owner : str
        Name of this process in leases; different for each start.
    metrics : Metrics
    clock : callable
        Seconds since the epoch, UTC.
    wake : callable
        Told the name of the step that has new work, so that it need not wait for its next look.
    tracer : Tracer
    """

    owner: str
    metrics: Metrics
    clock: Callable[[], float] = time.time
    wake: Callable[[str], None] = lambda step: None
    tracer: Tracer = field(default_factory=Tracer)


class Pipeline:
    """The flow of one hub.

    Parameters
    ----------
    stores : Stores
    config : Config
    models : sequence of str
        ``name@version`` of each model that reads every study; ``lineup``, which may change at any time, has them, and
        ``cards`` their cards.
    publisher : Publisher
    runtime : Runtime
    """

    def __init__(
        self,
        stores: Stores,
        config: Config,
        *,
        models: Sequence[str],
        publisher: Publisher,
        runtime: Runtime,
    ) -> None:
        self.stores = stores
        self.config = config
        self.options = checked_options(config.items("deidentify.options"))
        self.lineup = Lineup(tuple(models))
        self.cards: Mapping[str, Card] = {}
        self.publisher = publisher
        self.owner, self.metrics = runtime.owner, runtime.metrics
        self.clock, self.wake = runtime.clock, runtime.wake
        self.watch = FlowWatch(runtime.metrics, runtime.tracer, stores.database)
        publisher.on_tried = self.watch.published

    # ------------------------------------------------------------------------------------------- 1 ingest

    @timed("ingest")
    def accept(self, received: Received) -> None:
        """File one instance. When this returns, it is on disk and in the ledger.

        Raises
        ------
        StorageFull, StorageBusy
            If it cannot be kept now; nothing was filed.
        """
        identity = received.identity
        staged = self.stores.identified.stage(received.content)
        look = self.stores.vault.lookup
        accession = Identity(PseudonymKind.ACCESSION, identity.accession_number)
        number = Identity(PseudonymKind.PATIENT, identity.patient_id)
        arrival = studies.Arrival(
            study_lookup=look(Identity(PseudonymKind.UID, identity.study_instance_uid)),
            patient_lookup=look(patient_identity(identity)),
            sop_lookup=look(Identity(PseudonymKind.UID, identity.sop_instance_uid)),
            blob=staged.ref,
            size=len(received.content),
            sop_class_uid=identity.sop_class_uid,
            transfer_syntax_uid=identity.transfer_syntax_uid,
            source=received.source,
            priority=Priority.HIGH if identity.priority in URGENT else Priority.MEDIUM,
            received_at=received.received_at,
        )

        def file(connection: Connection) -> studies.FiledInstance:
            ordered = orders_for(connection, accession=look(accession), patient=look(number)) if accession.value else []
            urgent = any(priority is Priority.HIGH for _, priority in ordered)
            filed = studies.file_instance(connection, replace(arrival, priority=Priority.HIGH) if urgent else arrival)
            if filed.again and not self.stores.identified.exists(staged.ref):
                raise StorageBusy("the file was discarded while it arrived; send it again")
            if filed.first:
                self._audit(
                    connection, "study-received", filed.study_id, revision=filed.revision, source=received.source
                )
            if filed.outcome in (studies.Filed.CONFLICT, studies.Filed.MISMATCH):
                self._audit(connection, "study-quarantined", filed.study_id, outcome=4, rule=filed.outcome.value)
            return filed

        # File, name and ledger reach the disk at the same time; the sender hears of it after all three.
        committed = self.stores.database.submit(file)
        try:
            staged.settle()
        finally:
            filed = committed.result()
        self.watch.ingested(filed, len(received.content), received.received_at)
        self.wake("complete")

    # ----------------------------------------------------------------------------------------- 2 complete

    def complete(self) -> int:
        """Mark the studies complete to which nothing more came; return how many."""
        quiet_s, force_s = self.config.number("study.quiet_s"), self.config.number("study.force_s")

        def mark(connection: Connection) -> list[tuple[str, int]]:
            done = studies.complete_studies(connection, now=self.clock(), quiet_s=quiet_s, force_s=force_s)
            for study_id, revision in done:
                self._audit(connection, "study-complete", study_id, revision=revision)
            return done

        done = self.stores.database.write(mark)
        if done:
            self.wake("deidentify")
        return len(done)

    # --------------------------------------------------------------------------------------- 3 deidentify

    def deidentify(self) -> bool:
        """De-identify the next complete study and queue it for each model; False when none waits."""
        database = self.stores.database
        claim = database.write(
            lambda c: studies.claim_complete(c, owner=self.owner, now=self.clock(), lease_s=_CLAIM_S)
        )
        if claim is None:
            return False
        try:
            with self.watch.deidentifying(claim):
                safe = self._deidentify(claim)
        except Transient:
            until = self.clock() + min(600.0, 2.0**claim.attempts)
            database.write(lambda c: studies.postpone(c, claim.study_id, until=until))
            raise
        if safe is not None:
            self.wake("infer")
        return True

    def _deidentify(self, claim: studies.StudyClaim) -> Deidentified | None:
        database, pseudonyms = self.stores.database, VaultPseudonyms(self.stores.vault)
        outcomes: list[Made | Held] = []
        renew_at = self.clock() + _CLAIM_S / 3
        for outcome in deidentify_instances(
            claim.instances,
            fetch=self.stores.identified.get,
            store=self.stores.deidentified.put,
            pseudonyms=pseudonyms,
            options=self.options,
        ):
            outcomes.append(outcome)
            if self.clock() > renew_at:
                renew_at = self.clock() + _CLAIM_S / 3
                database.write(partial(studies.extend_claim, claim=claim, owner=self.owner, until=renew_at + _CLAIM_S))
        return database.write(lambda c: self._close(c, claim, outcomes))

    def _close(
        self, connection: Connection, claim: studies.StudyClaim, outcomes: Sequence[Made | Held]
    ) -> Deidentified | None:
        made = [o for o in outcomes if isinstance(o, Made)]
        held = [o for o in outcomes if isinstance(o, Held)]
        for one in made:
            studies.mark_deidentified(connection, one.instance_id, one.instance)
        for other in held:
            refused = studies.Refused(other.instance_id, other.rule, other.reason)
            if studies.hold_refused(connection, claim, refused, at=self.clock()):
                self._audit(connection, "study-quarantined", claim.study_id, outcome=4, rule=other.rule)
        row = connection.execute(select(study_table).where(study_table.c.id == claim.study_id)).one()
        identities = {(o.study_instance_uid, o.patient, o.accession) for o in made}
        if len({study_uid for study_uid, _, _ in identities}) > 1 or len({patient for _, patient, _ in identities}) > 1:
            raise IntegrityError("a study came out of de-identification with two identities")
        study_uid, patient, accession = next(iter(identities), (row.study_uid, row.patient, row.accession))
        safe = None
        instances = studies.deidentified_instances(connection, claim.study_id)
        if instances:
            bands = [*(o.age_band for o in made), AgeBand(row.age_band or AgeBand.UNKNOWN)]
            safe = deidentified_study(
                instances,
                study_instance_uid=study_uid,
                revision=claim.revision,
                age_bands=bands,
                priority=claim.priority,
                trace=trace_of(claim.study_id, claim.revision),
            )
        self.metrics.deidentified(len(made), len(held))
        current = studies.close_revision(connection, claim, safe, patient=patient, accession=accession)
        if safe is None or not current:
            return None
        self._audit(
            connection, "study-deidentified", f"{safe.study_instance_uid}", patient=patient, revision=claim.revision,
            instances=len(made), quarantined=len(held),
        )  # fmt: skip
        self.queue_for_models(connection, safe, patient=patient)
        if self.config.text("edge.hub"):
            edge_outbox.enqueue(connection, safe, now=self.clock())
        return safe

    def queue_for_models(
        self, connection: Connection, safe: Deidentified, *, patient: str | None = None, site: str = "here"
    ) -> None:
        """Queue a study for each model that reads it, within the caller's transaction.

        Parameters
        ----------
        connection : Connection
        safe : Deidentified
        patient : str, optional
            Pseudonym; None for a study of a spoke, whose patients only its own vault knows.
        site : str
            Of a spoke's study the spoke.
        """
        whose = spokes.whose(connection, safe.study_instance_uid)
        for model, role in self.lineup.readers(safe.study_instance_uid):
            if self.stores.queue.put(connection, safe, model, site=whose):
                set_role(connection, safe, model, role)
                self._audit(
                    connection, "job-queued", safe.study_instance_uid, patient=patient, model=model, role=role.value,
                    site=site,
                )  # fmt: skip

    # ------------------------------------------------------------------------------------- 4 infer, 5 record

    def record(self, job: Job, inference: Inference, heatmaps: Mapping[str, bytes]) -> bool:
        """Write down what a model said, and what is to be delivered; False when the lease was lost meanwhile.

        Parameters
        ----------
        job : Job
        inference : Inference
            Its results name their heatmaps by key.
        heatmaps : mapping of str to bytes
            PNG files by that key.
        """
        if inference.study_instance_uid != job.study.study_instance_uid:
            raise IntegrityError("an inference names another study than its job")
        self.watch.inferred(job, inference)
        inference = with_heatmaps(inference, heatmaps, keep=self.stores.deidentified.put)
        if not self.stores.database.write(lambda connection: self._record(connection, job, inference)):
            return False
        self._count(inference)
        return True

    def take_in(self) -> bool:
        """Record what workers elsewhere handed in; False when nothing waits.

        They hold no key of this hub: what they say is checked as a stranger's, and what does not hold fails its job.
        """
        database = self.stores.database
        with database.read() as connection:
            found = handed_in.waiting(connection, limit=_TAKEN_IN)
        begun = [(one, database.submit(partial(self._take_in, one=one))) for one in found]
        done = 0
        for one, taken in begun:
            try:
                inference = taken.result()
                if inference is not None:
                    self._count(inference)
            except (InputRejected, ContractViolation) as error:
                self._refuse(one, str(error))
            except PluginError:  # its version is not in use here yet
                continue
            done += 1
        return done > 0

    def _take_in(self, connection: Connection, one: handed_in.HandedIn) -> Inference | None:
        handed_in.drop(connection, one)
        job = self.stores.queue.held(connection, one.job_id, one.lease)
        if job is None:  # discarded meanwhile
            return None
        inference = loads(one.body)
        if job.model not in self.cards:
            raise PluginError("the model is not in use here")
        check_handed_in(self.cards[job.model], inference)
        return inference if self._record(connection, job, inference) else None

    def _refuse(self, one: handed_in.HandedIn, reason: str) -> None:
        log.error("what a worker handed in was refused", job=one.job_id, reason=reason)
        with self.stores.database.read() as connection:
            job = self.stores.queue.held(connection, one.job_id, one.lease)
        if job is not None:
            self.stores.queue.fail(job, reason, retryable=False)
        self.stores.database.write(lambda connection: handed_in.drop(connection, one))

    @timed("record")
    def _record(self, connection: Connection, job: Job, inference: Inference) -> bool:
        if not self.stores.queue.complete(connection, job):
            return False
        study_uid = inference.study_instance_uid
        site = spokes.site_of(connection, study_uid)
        recorded = save(connection, job, inference, config=self.config, now=self.clock(), deliver=site is None)
        self.watch.recorded(connection, job, recorded, site=site, now=self.clock())
        patient = None
        if site is None:
            mine = select(study_table.c.patient).where(study_table.c.study_uid == study_uid)
            patient = connection.execute(mine).scalar_one()
        self._audit(
            connection, "inference-recorded", study_uid, patient=patient, site=site or "here",
            model=str(inference.model), results=len(inference.results), refused=len(inference.refusals),
        )  # fmt: skip
        return recorded is not None

    def _count(self, inference: Inference) -> None:
        self.watch.counted(inference)
        self.wake("publish")

    # ------------------------------------------------------------------------------------------ 6 publish

    def publish(self, kinds: Sequence[str] = ()) -> bool:
        """Attempt the next delivery that is due; False when none is.

        A result that cannot be bound to its patient beyond doubt is not sent; the rest goes on.
        """
        try:
            return self.publisher.step(kinds)
        except IntegrityError as error:
            log.critical("a result was not sent", reason=str(error))
            return True

    # ------------------------------------------------------------------------------------------------ audit

    def _audit(
        self,
        connection: Connection,
        event: str,
        study: str,
        *,
        patient: str | None = None,
        outcome: int = 0,
        **detail: str | int | float,
    ) -> None:
        log.info(event, study=study, **detail)
        self.stores.audit.append(
            connection,
            AuditRecord(
                event=event, outcome=outcome, agent=HUB, patient=patient, entities=(f"study:{study}",), detail=detail
            ),
        )
