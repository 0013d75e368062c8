"""What Prometheus reads. Labels are names of steps, models, destinations, routes and states: never an identity.

:data:`METRICS` is the whole list; the reference, the dashboard and the alert rules are checked against it.
"""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, ParamSpec, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

P = ParamSpec("P")
T = TypeVar("T")
_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_LONG_SECONDS: Final = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
_MOST_VALUES: Final = 100
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: a counter is shown with ``_total`` at the end of its name, a histogram in its three parts."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = _SECONDS

    @property
    def shown(self) -> tuple[str, ...]:
        """The names under which Prometheus has it."""
        parts = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
        return tuple(self.name + part for part in parts[self.kind])


METRICS: Final[tuple[Metric, ...]] = (
    Metric("osler_instances", "counter", "DICOM instances received.", ("outcome",)),
    Metric("osler_received_bytes", "counter", "Bytes of the DICOM instances received."),
    Metric("osler_refused", "counter", "Requests and associations refused.", ("door", "error")),
    Metric("osler_deidentified", "counter", "Instances de-identified."),
    Metric("osler_quarantined", "counter", "Instances held in quarantine."),
    Metric("osler_step_seconds", "histogram", "Time of a step of the flow; its count is the rate.", ("step",)),
    Metric("osler_step_errors", "counter", "Steps that ended with an error.", ("step", "error")),
    Metric("osler_loop_errors", "counter", "Rounds of background work that ended with an error.", ("loop", "error")),
    Metric("osler_inferences", "counter", "Cases read or series refused by a model.", ("model", "outcome")),
    Metric("osler_inference_seconds", "histogram", "Time of a model on one job.", ("model",)),
    Metric("osler_batch_jobs", "histogram", "Jobs that were claimed together.", ("model",), _SIZES),
    Metric(
        "osler_queue_wait_seconds",
        "histogram",
        "Time from the queue to the first claim of a job that is now done.",
        ("priority",),
        _LONG_SECONDS,
    ),
    Metric("osler_deliveries", "counter", "Deliveries tried.", ("destination", "outcome")),
    Metric(
        "osler_delivery_seconds",
        "histogram",
        "Time from the record of a result to its arrival.",
        ("destination",),
        _LONG_SECONDS,
    ),
    Metric("osler_http_requests", "counter", "HTTP requests answered.", ("method", "route", "status")),
    Metric("osler_http_seconds", "histogram", "Time to answer.", ("route",)),
    Metric("osler_writer_wait_seconds", "histogram", "Time that a change waited for the writer of the database."),
    Metric("osler_jobs", "gauge", "Jobs in the ledger.", ("state", "priority")),
    Metric("osler_jobs_dead", "gauge", "Jobs that wait for a person."),
    Metric("osler_queue_age_seconds", "gauge", "Age of the oldest job that waits.", ("priority",)),
    Metric("osler_queue_reachable", "gauge", "1 while jobs can be claimed, 0 while a broker is away."),
    Metric(
        "osler_edge_studies", "gauge", "Studies of a spoke, by where they stand on their way to the hub.", ("state",)
    ),
    Metric("osler_workers", "gauge", "Workers that give signs of life.", ("state",)),
    Metric("osler_workers_wanted", "gauge", "Workers that it takes to do what waits within worker.latency_aim_s."),
    Metric("osler_edge_bytes", "gauge", "Bytes that wait on a spoke for the hub."),
    Metric("osler_studies_waiting", "gauge", "Studies before the queue.", ("state",)),
    Metric("osler_quarantine_held", "gauge", "Instances in quarantine that wait for a person."),
    Metric("osler_deliveries_waiting", "gauge", "Deliveries that have not arrived yet.", ("destination",)),
    Metric("osler_deliveries_failed", "gauge", "Deliveries that wait for a person.", ("destination",)),
    Metric("osler_outbox_age_seconds", "gauge", "Age of the oldest delivery that waits.", ("destination",)),
    Metric("osler_alerts_open", "gauge", "Alerts that nobody has acknowledged."),
    Metric("osler_alert_age_seconds", "gauge", "Age of the oldest alert that nobody has acknowledged."),
    Metric("osler_audit_entries", "gauge", "Entries in the audit chain."),
    Metric("osler_audit_lag_entries", "gauge", "Entries that no checkpoint outside the database covers yet."),
    Metric("osler_audit_lag_seconds", "gauge", "Age of the last checkpoint while entries wait for one; else 0."),
    Metric("osler_disk_free_bytes", "gauge", "Room on the disk of the data folder."),
    Metric("osler_disk_size_bytes", "gauge", "Size of the disk of the data folder."),
    Metric("osler_drift_alarms", "gauge", "Open alarms of drift.", ("model", "kind")),
    Metric("osler_drift_psi", "gauge", "Population stability index of the last look.", ("model", "variable")),
    Metric("osler_feedback_answers", "gauge", "Findings that a person confirmed or rejected.", ("model", "finding")),
    Metric("osler_feedback_sensitivity", "gauge", "Rolling sensitivity by feedback.", ("model", "finding")),
    Metric("osler_feedback_specificity", "gauge", "Rolling specificity by feedback.", ("model", "finding")),
    Metric("osler_feedback_calibration", "gauge", "Rolling observed less expected share.", ("model", "finding")),
)
"""All metrics, in the order of the reference."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Values of gauges: by the name of a metric, those of its labels.

    A metric that is here but has no values shows none: what was there before is gone.
    """

    values: Mapping[str, Mapping[tuple[str, ...], float]] = field(default_factory=dict)


class Metrics:
    """The metrics of one process, in a registry of their own.

    The others count what they do as they do it; what stands in the ledger is set when somebody reads (:meth:`show`).
    No label takes more than a hundred values; what comes after them is counted as ``other``.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {metric.name: _made(metric, self._registry) for metric in METRICS}
        self._gauges = {metric.name for metric in METRICS if metric.kind == "gauge"}
        self._seen: dict[tuple[str, int], set[str]] = {}

    def received(self, outcome: str, size: int) -> None:
        """Count one instance that a peer sent, with what became of it and its bytes."""
        self._of("osler_instances", outcome).inc()
        self._of("osler_received_bytes").inc(size)

    def refused(self, door: str, error: str) -> None:
        """Count a refusal at a door (``dimse``, ``stow``, ``fhir``, ``oauth``) by the class of its error."""
        self._of("osler_refused", door, error).inc()

    def deidentified(self, made: int, held: int) -> None:
        """Count instances that were de-identified, and those that were held back."""
        self._of("osler_deidentified").inc(made)
        self._of("osler_quarantined").inc(held)

    def inferred(self, model: str, results: int, refused: int, *, seconds: float | None = None) -> None:
        """Count the cases that a model read and the series that it refused, and note how long the job took."""
        self._of("osler_inferences", model, "read").inc(results)
        self._of("osler_inferences", model, "refused").inc(refused)
        if seconds is not None:
            self._of("osler_inference_seconds", model).observe(seconds)

    def batch(self, model: str, jobs: int) -> None:
        """Note how many jobs a worker claimed together."""
        self._of("osler_batch_jobs", model).observe(jobs)

    def waited(self, priority: str, seconds: float) -> None:
        """Note how long a job waited in the queue."""
        self._of("osler_queue_wait_seconds", priority).observe(max(0.0, seconds))

    def delivery(self, destination: str, outcome: str, *, seconds: float | None = None) -> None:
        """Count a delivery that was tried: ``delivered``, ``warning``, ``failed``, ``put-off``; and when it arrived."""
        self._of("osler_deliveries", destination, outcome).inc()
        if seconds is not None:
            self._of("osler_delivery_seconds", destination).observe(max(0.0, seconds))

    def step(self, name: str, seconds: float) -> None:
        """Note how long a step took."""
        self._of("osler_step_seconds", name).observe(seconds)

    def failed(self, name: str, error: BaseException) -> None:
        """Count a step that ended with an error, by the class of the error alone."""
        self._of("osler_step_errors", name, type(error).__name__).inc()

    def loop_failed(self, name: str, error: BaseException) -> None:
        """Count a round of background work that ended with an error, by the class of the error alone."""
        self._of("osler_loop_errors", name, type(error).__name__).inc()

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long a step takes, and its error when it ends with one."""
        began = time.perf_counter()
        try:
            yield
        except Exception as error:
            self.failed(name, error)
            raise
        finally:
            self.step(name, time.perf_counter() - began)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request by the template of its route, never by its path."""
        self._of("osler_http_requests", method, route, str(status)).inc()
        self._of("osler_http_seconds", route).observe(seconds)

    def writer_waited(self, seconds: float) -> None:
        """Note how long a change waited for the writer of the database."""
        self._of("osler_writer_wait_seconds").observe(seconds)

    def set_queue_reachable(self, reachable: bool) -> None:
        """Set whether jobs can be claimed."""
        self._of("osler_queue_reachable").set(1 if reachable else 0)

    def set_edge(self, counts: Mapping[str, int], *, size: int) -> None:
        """Set how many studies of a spoke stand in each state on their way to the hub, and their bytes."""
        for state, count in counts.items():
            self._of("osler_edge_studies", state).set(count)
        self._of("osler_edge_bytes").set(size)

    def show(self, figures: Figures) -> None:
        """Set gauges to what stands in the ledger and on the disk now."""
        for name in self._gauges & set(figures.values):
            labelled, gauge = figures.values[name], self._metrics[name]
            if () not in labelled:
                gauge.clear()
            for labels, value in labelled.items():
                self._of(name, *labels).set(value)

    def render(self) -> bytes:
        """Return all of it in the Prometheus text format."""
        return generate_latest(self._registry)

    def _of(self, name: str, *labels: str) -> Any:
        metric = self._metrics[name]
        return metric.labels(*(self._bounded(name, i, value) for i, value in enumerate(labels))) if labels else metric

    def _bounded(self, name: str, place: int, value: str) -> str:
        seen = self._seen.setdefault((name, place), set())
        if value not in seen:
            if len(seen) >= _MOST_VALUES:
                return _OTHER
            seen.add(value)
        return value


def timed(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Note how long a method takes, in the ``metrics`` of its object; see :meth:`Metrics.timed`."""

    def wrap(method: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(method)
        def watched(*args: P.args, **kwargs: P.kwargs) -> T:
            owner: Any = args[0]
            with owner.metrics.timed(name):
                return method(*args, **kwargs)

        return watched

    return wrap


def _made(metric: Metric, registry: CollectorRegistry) -> Any:
    if metric.kind == "histogram":
        return Histogram(metric.name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, metric.help, metric.labels, registry=registry)
