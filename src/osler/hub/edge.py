"""An edge: its studies are read here at once, and go to a hub when that can be reached, for what its models say.

What leaves is de-identified and under this site's pseudonyms. What comes back is bound to the patient by this site's
own vault, and published here.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from osler.audit import HUB, Agent, AuditRecord
from osler.config import Config
from osler.domain.findings import Inference
from osler.errors import ConfigError, ContractViolation, DeliveryRefused, IntegrityError, NotFound, PeerUnavailable
from osler.infer.spool import checked_heatmap
from osler.metrics import Metrics
from osler.publish.hub_link import Answer, HubLink
from osler.record import save
from osler.storage import edge_outbox as outbox
from osler.storage.due import has_come
from osler.storage.edge_outbox import Entry, State
from osler.storage.private_files import read_private
from osler.stores import Stores
from osler.tls import client_context

_LONGEST_WAIT_S: Final = 600.0
_LOOK_S: Final = 10.0
_ROUNDS: Final = 3
_LOST: Final = "the hub has lost the study, and its files are no longer here"

log = structlog.get_logger(__name__)


def open_link(config: Config) -> HubLink:
    """Open the line to the configured hub.

    Raises
    ------
    ConfigError
        If the settings ``edge.*`` or ``tls.*`` cannot be used.
    """
    path = config.text("edge.secret_file")
    if not config.text("edge.client_id") or not path:
        raise ConfigError("edge.hub needs edge.client_id and edge.secret_file: what the hub knows this site as")
    client_context(config)  # wrong files stop the start, not the first study
    return HubLink(
        config.text("edge.hub"),
        tls=lambda: client_context(config),
        client_id=config.text("edge.client_id"),
        secret=read_private(config.data_dir / path).decode().strip(),
    )


class Edge:
    """Forwards studies to the hub and takes its results; one step at a time, from one thread.

    Parameters
    ----------
    stores : Stores
    config : Config
    link : HubLink
    metrics : Metrics
    wake : callable
        Told when there are results to publish.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        stores: Stores,
        config: Config,
        link: HubLink,
        *,
        metrics: Metrics,
        wake: Callable[[str], None] = lambda step: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stores = stores
        self._config = config
        self._link = link
        self._metrics = metrics
        self._wake = wake
        self._clock = clock
        self._most_bytes = config.integer("edge.max_spool_mb") * 1_000_000
        self._retry_s = max(config.number("edge.retry_s"), 0.1)
        self._failures = 0
        self._not_before = 0.0
        self._look_at = 0.0
        self._peer = Agent("hub", "peer", link.host)

    def step(self) -> bool:
        """Take in what is new, forward one study, fetch one answer; False when there was nothing to do.

        While the hub cannot be reached the line is tried again after a wait that doubles, for all studies together.
        """
        busy = self._admit()
        if not has_come(self._not_before, self._clock()):
            return busy
        try:
            forwarded = self._forward()
            fetched = self._fetch()
        except PeerUnavailable as error:
            self._link.close()
            self._failures += 1
            wait_s = min(_LONGEST_WAIT_S, self._retry_s * 2.0 ** min(self._failures - 1, 20))
            self._not_before = self._clock() + wait_s
            log.warning("hub out of reach", failures=self._failures, again_in_s=wait_s, reason=str(error))
            return busy
        if forwarded or fetched:
            self._failures = 0
        return busy or forwarded or fetched

    # ---------------------------------------------------------------------------------------------- room

    def _admit(self) -> bool:
        """Find room for a new study; without it the study is not forwarded, and everybody is told."""
        database = self._stores.database
        with database.read() as connection:
            entry = next(iter(outbox.first(connection, State.NEW)), None)
        if entry is not None:
            size = self._size(entry)
            room = size is not None and self._make_room(size)
            state = State.WAITING if room else State.SKIPPED
            reason = None if room else "its files are gone or damaged" if size is None else "there was no room for it"
            database.write(partial(self._settle, entry=entry, state=state, reason=reason, size=size or 0))
        if entry is not None or has_come(self._look_at, self._clock()):
            self._look_at = self._clock() + _LOOK_S
            self._make_room(0)  # a study that was skipped stays while it is read here, and goes then
            with database.read() as connection:
                self._metrics.set_edge(outbox.counts(connection), size=outbox.used_bytes(connection))
        return entry is not None

    def _size(self, entry: Entry) -> int | None:
        try:
            return sum(len(self._stores.deidentified.get(one.blob)) for one in entry.study.instances)
        except (NotFound, IntegrityError):
            return None

    def _make_room(self, size: int) -> bool:
        """Let files of studies go, until a new one has its place; False when not enough may go."""
        if size > self._most_bytes:
            return False
        while True:
            with self._stores.database.read() as connection:
                fits = outbox.used_bytes(connection) + size <= self._most_bytes
                oldest = None if fits else outbox.evictable(connection)
            if fits or oldest is None:
                return fits
            if not self._stores.database.write(partial(outbox.forget, entry=oldest)):
                return False  # more of it has come meanwhile
            for one in oldest.study.instances:
                self._stores.deidentified.delete(one.blob)
            self._stores.database.write(partial(outbox.forgotten, entry=oldest))

    # ------------------------------------------------------------------------------------------- forward

    def _forward(self) -> bool:
        with self._stores.database.read() as connection:
            entry = next(iter(outbox.first(connection, State.WAITING, now=self._clock())), None)
        if entry is None:
            return False
        try:
            self._send(entry)
        except PeerUnavailable as error:
            self._let_others_pass(entry, str(error))
            raise
        except (DeliveryRefused, NotFound, IntegrityError) as error:
            self._refuse(entry, str(error))
            return True
        now = self._clock()
        sent = partial(self._settle, entry=entry, state=State.FORWARDED, reason=None)
        self._stores.database.write(partial(sent, forwarded_at=now, available_at=now))
        return True

    def _let_others_pass(self, entry: Entry, reason: str) -> None:
        """Put off a study with which the line failed, so that one that the hub stumbles over holds up no other."""
        until = self._clock() + min(_LONGEST_WAIT_S, self._retry_s * 2.0 ** min(entry.attempts, 20))
        self._stores.database.write(partial(outbox.put_off, entry=entry, until=until, reason=reason))

    def _send(self, entry: Entry) -> None:
        """Send what the hub has not; what got there before the line was cut is not sent again."""
        study = entry.study
        blobs = {one.sop_instance_uid: one.blob for one in study.instances}
        for _ in range(_ROUNDS):
            missing = self._link.offer(study)
            if not missing:
                return
            if not blobs.keys() >= set(missing):
                raise DeliveryRefused("the hub asks for instances that the study does not have")
            for sop_uid in missing:
                self._link.send(study.study_instance_uid, sop_uid, self._stores.deidentified.get(blobs[sop_uid]))
        raise PeerUnavailable("the hub says again and again that it has not what it was sent")

    def _refuse(self, entry: Entry, reason: str) -> None:
        log.error("study not forwarded", study=entry.study.study_instance_uid, reason=reason)
        self._stores.database.write(partial(self._settle, entry=entry, state=State.REFUSED, reason=reason))

    def _settle(self, connection: Connection, entry: Entry, state: State, reason: str | None, **values: float) -> None:
        """Bring an entry into another state, with its place in the audit."""
        if not outbox.change(connection, entry, state, reason=reason, attempts=entry.attempts + 1, **values):
            return
        event = {
            State.FORWARDED: "study-forwarded",
            State.SKIPPED: "study-not-forwarded",
            State.REFUSED: "study-not-forwarded",
        }.get(state)
        if event is None:
            return
        study = entry.study
        record = AuditRecord(
            event,
            agent=HUB,
            outcome=0 if state is State.FORWARDED else 8,
            entities=(f"study:{study.study_instance_uid}",),
            detail={"revision": study.revision, "instances": len(study.instances), "reason": reason or "none"},
            recipient=self._peer if state is State.FORWARDED else None,
        )
        self._stores.audit.append(connection, record)

    # --------------------------------------------------------------------------------------------- fetch

    def _fetch(self) -> bool:
        with self._stores.database.read() as connection:
            entry = next(iter(outbox.first(connection, State.FORWARDED, now=self._clock())), None)
        if entry is None:
            return False
        try:
            answer = self._link.answer(entry.study.study_instance_uid)
            heatmaps = self._checked(entry, answer)
        except PeerUnavailable as error:
            self._let_others_pass(entry, str(error))
            raise
        except NotFound:
            self._again(entry)
            return True
        except ContractViolation as error:
            self._alarm(entry, str(error))
            return True
        except DeliveryRefused as error:
            self._refuse(entry, str(error))
            return True
        for content in heatmaps:
            self._stores.deidentified.put(content)
        self._stores.database.write(partial(self._file, entry=entry, answer=answer))
        self._wake("publish")
        return True

    def _checked(self, entry: Entry, answer: Answer) -> list[bytes]:
        """Check that an answer is of this study and of nothing else, and fetch its heatmaps.

        Raises
        ------
        ContractViolation
            If it names what was not sent: another study, series or instance, perhaps of another site.
        """
        study = entry.study
        series = {i.sop_instance_uid: i.series_instance_uid for i in study.instances}
        heatmaps: list[bytes] = []
        if answer.study_instance_uid != study.study_instance_uid:
            raise ContractViolation("the answer is of another study")
        for revision, inference in answer.results:
            if inference.study_instance_uid != study.study_instance_uid:
                raise ContractViolation("a result is of another study")
            if revision > study.revision:
                raise ContractViolation("a result is of a revision that was not sent")
            named = {refusal.series_instance_uid for refusal in inference.refusals}
            for result in inference.results:
                read = {series.get(uid) for uid in result.sop_instance_uids}
                if read != {result.series_instance_uid}:
                    raise ContractViolation("a result names an instance or a series that was not sent")
            if not named <= set(series.values()):
                raise ContractViolation("a refusal names a series that was not sent")
            if revision == study.revision:
                refs = {r.heatmap for r in inference.results if r.heatmap is not None}
                heatmaps += [self._heatmap(study.study_instance_uid, ref) for ref in sorted(refs)]
        return heatmaps

    def _heatmap(self, study_uid: str, ref: str) -> bytes:
        return checked_heatmap(self._link.heatmap(study_uid, ref), ref)

    def _file(self, connection: Connection, entry: Entry, answer: Answer) -> None:
        """Write down what the hub says, as if its models had read the study here; the same twice is once."""
        now = self._clock()
        for revision, inference in answer.results:
            if revision == entry.study.revision:
                self._record(connection, entry, inference, now)
        if answer.open == 0:
            outbox.change(connection, entry, State.ANSWERED, answered_at=now)
        else:  # the longer it takes, the more seldom it is asked for
            waited_s = now - (entry.forwarded_at or now)
            wait_s = min(max(waited_s / 4, self._retry_s), _LONGEST_WAIT_S)
            outbox.put_off(connection, entry, until=now + wait_s, reason=None)

    def _record(self, connection: Connection, entry: Entry, inference: Inference, now: float) -> None:
        study, model = entry.study, str(inference.model)
        if not self._stores.queue.put(connection, study, model):
            return  # it was fetched before, or a model of the same version read the study here
        job = outbox.answered_job(connection, study, model, now=now)
        save(connection, job, inference, config=self._config, now=now)
        record = AuditRecord(
            "inference-recorded",
            agent=self._peer,
            entities=(f"study:{study.study_instance_uid}",),
            detail={"model": model, "results": len(inference.results), "refused": len(inference.refusals)},
        )
        self._stores.audit.append(connection, record)

    def _again(self, entry: Entry) -> None:
        """Forward a study once more that the hub has lost, as after its restore from a backup."""
        if entry.kept:
            log.warning("the hub has lost a study", study=entry.study.study_instance_uid)
            self._stores.database.write(partial(outbox.change, entry=entry, state=State.WAITING))
        else:
            self._refuse(entry, _LOST)

    def _alarm(self, entry: Entry, reason: str) -> None:
        """Refuse an answer that is of somebody else. Nothing of it is kept; a person must look."""
        study_uid = entry.study.study_instance_uid
        log.critical("the hub's answer was refused", study=study_uid, reason=reason)
        self._metrics.refused("edge", "reply")

        def write(connection: Connection) -> None:
            outbox.change(connection, entry, State.REFUSED, reason=reason)
            record = AuditRecord(
                "reply-refused",
                agent=self._peer,
                outcome=8,
                entities=(f"study:{study_uid}",),
                detail={"reason": reason},
            )
            self._stores.audit.append(connection, record)

        self._stores.database.write(write)
