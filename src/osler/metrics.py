"""What Prometheus reads. Labels are names of steps, models, destinations, routes and states: never an identity."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The counters of one process, in a registry of their own.

    The others count what they do as they do it; what stands in the ledger is set when somebody reads
    (:meth:`set_jobs`, :meth:`set_audit_entries`).
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        r = self._registry
        self._instances = Counter("osler_instances", "DICOM instances received.", ["outcome"], registry=r)
        self._bytes = Counter("osler_received_bytes", "Bytes of the DICOM instances received.", registry=r)
        self._refused = Counter("osler_refused", "Requests and associations refused.", ["door", "error"], registry=r)
        self._deidentified = Counter("osler_deidentified", "Instances de-identified.", registry=r)
        self._quarantined = Counter("osler_quarantined", "Instances held in quarantine.", registry=r)
        self._cases = Counter(
            "osler_inferences", "Cases read or series refused by a model.", ["model", "outcome"], registry=r
        )
        self._inference = Histogram(
            "osler_inference_seconds", "Time of a model on one job.", ["model"], buckets=_SECONDS, registry=r
        )
        self._deliveries = Counter("osler_deliveries", "Deliveries tried.", ["destination", "outcome"], registry=r)
        self._steps = Histogram(
            "osler_step_seconds", "Time of a step of the flow.", ["step"], buckets=_SECONDS, registry=r
        )
        self._requests = Counter(
            "osler_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=r
        )
        self._http = Histogram("osler_http_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=r)
        self._jobs = Gauge("osler_jobs", "Jobs in the ledger.", ["state", "priority"], registry=r)
        self._queue_age = Gauge("osler_queue_age_seconds", "Age of the oldest job that waits.", registry=r)
        self._audit = Gauge("osler_audit_entries", "Entries in the audit chain.", registry=r)

    def received(self, outcome: str, size: int) -> None:
        """Count one instance that a peer sent, with what became of it and its bytes."""
        self._instances.labels(outcome).inc()
        self._bytes.inc(size)

    def refused(self, door: str, error: str) -> None:
        """Count a refusal at a door (``dimse``, ``stow``, ``fhir``, ``oauth``) by the class of its error."""
        self._refused.labels(door, error).inc()

    def deidentified(self, made: int, held: int) -> None:
        """Count instances that were de-identified, and those that were held back."""
        self._deidentified.inc(made)
        self._quarantined.inc(held)

    def inferred(self, model: str, results: int, refused: int, *, seconds: float | None = None) -> None:
        """Count the cases that a model read and the series that it refused, and note how long the job took."""
        self._cases.labels(model, "read").inc(results)
        self._cases.labels(model, "refused").inc(refused)
        if seconds is not None:
            self._inference.labels(model).observe(seconds)

    def delivery(self, destination: str, outcome: str) -> None:
        """Count a delivery that was tried: ``delivered``, ``warning``, ``failed``, ``put-off``."""
        self._deliveries.labels(destination, outcome).inc()

    def step(self, name: str, seconds: float) -> None:
        """Note how long a step took."""
        self._steps.labels(name).observe(seconds)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request by the template of its route, never by its path."""
        self._requests.labels(method, route, str(status)).inc()
        self._http.labels(route).observe(seconds)

    def set_jobs(self, counts: Mapping[tuple[str, str], int], *, oldest_s: float) -> None:
        """Set how many jobs stand in each state and priority, and the age of the oldest that waits, seconds."""
        self._jobs.clear()
        for (state, priority), count in counts.items():
            self._jobs.labels(state, priority).set(count)
        self._queue_age.set(oldest_s)

    def set_audit_entries(self, count: int) -> None:
        """Set how many entries the audit chain has."""
        self._audit.set(count)

    def render(self) -> bytes:
        """Return all of it in the Prometheus text format."""
        return generate_latest(self._registry)
