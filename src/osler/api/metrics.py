"""``/metrics`` for Prometheus: the counters of the process, and what stands in the ledger now."""

from typing import Any, Final

from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import func, select
from starlette.requests import Request
from starlette.responses import Response

from osler.api.services import Services
from osler.domain.states import JobState
from osler.storage.tables import audit_head, job

_OPEN: Final = (JobState.SCHEDULED.value, JobState.IN_PROGRESS.value)


class MetricsEndpoint:
    """Answers ``GET /metrics``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, _request: Request) -> Response:
        """Read the ledger and write all of it in the text format of Prometheus."""
        metrics, now = self._services.metrics, self._services.tokens.clock()
        with self._services.database.read() as connection:
            counts: Any = connection.execute(
                select(job.c.state, job.c.priority, func.count()).group_by(job.c.state, job.c.priority)
            ).all()
            oldest = connection.execute(select(func.min(job.c.created_at)).where(job.c.state == _OPEN[0])).scalar_one()
            entries = connection.execute(select(audit_head.c.seq)).scalar_one_or_none()
        metrics.set_jobs(
            {(state, priority): n for state, priority, n in counts}, oldest_s=now - oldest if oldest else 0.0
        )
        metrics.set_audit_entries(entries or 0)
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)
