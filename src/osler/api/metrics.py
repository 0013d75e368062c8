"""``/metrics`` for Prometheus: the counters of the process, and what stands in the ledger now."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from osler.api.services import Services
from osler.monitor.standing import standing


class MetricsEndpoint:
    """Answers ``GET /metrics``."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def __call__(self, _request: Request) -> Response:
        """Read the ledger and what the hub knows besides, and write all of it in the text format of Prometheus."""
        metrics = self._services.metrics
        with self._services.database.read() as connection:
            metrics.show(standing(connection, self._services.tokens.clock()))
        for figures in self._services.figures():
            metrics.show(figures)
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)
