"""What the steps of the flow leave behind for those who watch it: figures, cases, and spans of the study's trace."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from sqlalchemy import Connection, select

from osler.domain.events import Job, Recorded
from osler.domain.findings import Inference
from osler.errors import OslerError
from osler.metrics import Metrics
from osler.monitor.cases import keep, sender_of
from osler.storage import Database
from osler.storage.studies import FiledInstance, StudyClaim
from osler.storage.tables import job as job_table
from osler.storage.tables import study
from osler.tracing import Tracer, trace_of


class Attempted(Protocol):
    """A delivery that was attempted, see :class:`osler.publish.outbox.Entry`."""

    @property
    def kind(self) -> str:
        """What is delivered."""

    @property
    def destination(self) -> str:
        """Whereto; empty for the hub's own store."""

    @property
    def attempts(self) -> int:
        """How often it was, with this time."""

    @property
    def recorded(self) -> Recorded:
        """The result."""


class FlowWatch:
    """Notes what happens to a study.

    Parameters
    ----------
    metrics : Metrics
    tracer : Tracer
    database : Database
    """

    def __init__(self, metrics: Metrics, tracer: Tracer, database: Database) -> None:
        self._metrics = metrics
        self._tracer = tracer
        self._database = database

    def ingested(self, filed: FiledInstance, size: int, began_at: float) -> None:
        """Note an instance that is on disk and in the ledger."""
        self._metrics.received(filed.outcome.value, size)
        self._tracer.span(
            trace_of(filed.study_id, filed.revision),
            "ingest",
            times=(began_at, time.time()),
            first=filed.first,
            outcome=filed.outcome.value,
        )

    @contextlib.contextmanager
    def deidentifying(self, claim: StudyClaim) -> Iterator[None]:
        """Note the de-identification of a study."""
        began_at, failed = time.time(), None
        try:
            with self._metrics.timed("deidentify"):
                yield
        except OslerError as error:
            failed = error
            raise
        finally:
            self._tracer.span(
                trace_of(claim.study_id, claim.revision),
                "deidentify",
                times=(began_at, time.time()),
                error=failed,
                instances=len(claim.instances),
                priority=claim.priority.value,
            )

    def inferred(self, job: Job, inference: Inference) -> None:
        """Note a model's work on a job, in the process that did it."""
        inferred(self._tracer, job, inference)

    def recorded(
        self, connection: Connection, job: Job, recorded: Recorded | None, *, site: str | None, now: float
    ) -> None:
        """Note a result, within the transaction that writes it down.

        Parameters
        ----------
        recorded : Recorded or None
            None when it was recorded before.
        site : str or None
            The spoke that the study is of; None when it came here.
        now : float
            Seconds since the epoch, UTC.
        """
        times = select(job_table.c.priority, job_table.c.created_at, job_table.c.started_at)
        row = connection.execute(times.where(job_table.c.id == job.id)).one()
        began_at = row.started_at or now
        self._metrics.waited(row.priority, began_at - row.created_at)
        self._tracer.span(
            job.study.trace, "queue", times=(row.created_at, began_at), priority=row.priority, model=job.model
        )
        if recorded is not None:
            inference = recorded.inference
            keep(
                connection,
                recorded,
                site=f"spoke:{site}" if site else sender_of(connection, job.study.study_instance_uid),
            )
            self._tracer.span(
                job.study.trace,
                "record",
                times=(now, time.time()),
                model=job.model,
                results=len(inference.results),
                refused=len(inference.refusals),
            )

    def counted(self, inference: Inference) -> None:
        """Count a result that is written down."""
        for step, seconds in inference.seconds.items():
            self._metrics.step(step, seconds)
        self._metrics.inferred(
            str(inference.model),
            len(inference.results),
            len(inference.refusals),
            seconds=sum(inference.seconds.values()),
        )

    def published(self, entry: Attempted, began_at: float, error: OslerError | None) -> None:
        """Note an attempt to deliver that has just ended."""
        ended_at, step = time.time(), f"publish-{entry.kind}"
        self._metrics.step(step, max(0.0, ended_at - began_at))
        if error is not None:
            self._metrics.failed(step, error)
        if self._tracer.on:
            self._tracer.span(
                self._trace_of(entry.recorded),
                "publish",
                times=(began_at, ended_at),
                error=error,
                kind=entry.kind,
                destination=entry.destination or "fhir",
                attempts=entry.attempts,
            )

    def _trace_of(self, recorded: Recorded) -> str:
        mine = select(study.c.id).where(study.c.study_uid == recorded.inference.study_instance_uid)
        with self._database.read() as connection:
            study_id = connection.execute(mine).scalar_one_or_none()
        return trace_of(study_id, recorded.revision) if study_id else ""


def inferred(tracer: Tracer, job: Job, inference: Inference) -> None:
    """Write down a model's work on a job, which has just ended."""
    now, seconds = time.time(), sum(inference.seconds.values())
    tracer.span(
        job.study.trace,
        "infer",
        times=(now - seconds, now),
        model=str(inference.model),
        attempts=job.attempts,
        results=len(inference.results),
        instances=len(job.study.instances),
    )
