"""OpenTelemetry traces: one for each revision of a study, from its first instance to the last delivery, in any process.

A trace is known by a W3C ``traceparent`` that is made from the random id of the study's row, so that every step of the
hub can say it; it travels with the job to workers, who do not know that id. Spans are written down when a step has
ended. What a span may say is in :data:`ATTRIBUTES`: nothing else, and never an identity.

References
----------
W3C Trace Context Level 1, 3.2 (traceparent); OpenTelemetry Protocol 1.x, OTLP/HTTP
"""

import hashlib
import re
import threading
from typing import Any, Final
from urllib.parse import urlsplit

from osler import __version__
from osler.config import Config
from osler.errors import ConfigError, IntegrityError

ATTRIBUTES: Final = frozenset(
    {"attempts", "destination", "instances", "kind", "model", "outcome", "priority", "refused", "results", "seconds"}
)
"""What a span may say: names, counts and times."""
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")
_WORD: Final = re.compile(r"[A-Za-z0-9@._:/ +-]{1,100}")
_TIMEOUT_S: Final = 5.0


def trace_of(study_id: str, revision: int) -> str:
    """Return the ``traceparent`` of a revision of a study; its span is that of the arrival of the first instance.

    Parameters
    ----------
    study_id : str
        Random id of the study's row; the trace does not give it away.
    revision : int
    """
    digest = hashlib.sha256(f"osler-trace/{study_id}/{revision}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


class Tracer:
    """Sends spans to a collector; one that was not opened with :func:`open_tracer` sends none.

    Parameters
    ----------
    sink : object, optional
        What :func:`open_tracer` puts together.
    """

    def __init__(self, sink: "_Sink | None" = None) -> None:
        self._sink = sink

    @property
    def on(self) -> bool:
        """Whether anything is sent."""
        return self._sink is not None

    def span(
        self,
        trace: str,
        name: str,
        *,
        times: tuple[float, float],
        error: BaseException | None = None,
        first: bool = False,
        **attributes: str | float,
    ) -> None:
        """Write down a step that has ended.

        Parameters
        ----------
        trace : str
            ``traceparent``; a step without one is not written down.
        name : str
            Of the step.
        times : tuple of float
            When it began and ended, seconds since the epoch.
        error : Exception, optional
            Why it failed: its class alone is told.
        first : bool
            Whether this is the span that the others of the trace are under.
        attributes
            Of :data:`ATTRIBUTES`.

        Raises
        ------
        IntegrityError
            If an attribute is none of them.
        """
        if not set(attributes) <= ATTRIBUTES:
            raise IntegrityError("a span would say what no span may say")
        parts = _TRACEPARENT.fullmatch(trace)
        if self._sink is None or parts is None:
            return
        told = {f"osler.{key}": _harmless(value) for key, value in attributes.items()}
        if error is not None:
            told["error.type"] = type(error).__name__
        self._sink.write(name, (int(parts[1], 16), int(parts[2], 16)), times, first=first, told=told)

    def close(self) -> None:
        """Send what waits, and end."""
        if self._sink is not None:
            self._sink.close()


def open_tracer(config: Config, instance: str) -> Tracer:
    """Return the configured tracer.

    Parameters
    ----------
    config : Config
    instance : str
        Name of this process.

    Raises
    ------
    ConfigError
        If ``otel.endpoint`` is set and is no URL, or the packages for it are not installed.
    """
    endpoint = config.text("otel.endpoint")
    if not endpoint:
        return Tracer()
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError("otel.endpoint must be http://HOST:PORT or https://HOST:PORT of an OTLP/HTTP collector")
    try:
        return Tracer(_Sink(endpoint.rstrip("/"), instance))
    except ImportError:
        raise ConfigError("otel.endpoint needs more packages: pip install 'osler[otel]'") from None


def _harmless(value: str | float) -> str | float:
    if isinstance(value, str):
        return value if _WORD.fullmatch(value) else "other"
    return value


class _Sink:
    """The one place that knows OpenTelemetry."""

    def __init__(self, endpoint: str, instance: str) -> None:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON

        chosen = self._chosen = threading.local()

        class Ids(RandomIdGenerator):
            def generate_trace_id(self) -> int:
                return (getattr(chosen, "ids", None) and chosen.ids[0]) or super().generate_trace_id()

            def generate_span_id(self) -> int:
                return (getattr(chosen, "ids", None) and chosen.ids[1]) or super().generate_span_id()

        session = requests.Session()
        session.trust_env = False  # nor do proxies and passwords of the environment concern a collector
        exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=_TIMEOUT_S, session=session)
        told = {"service.name": "osler", "service.version": __version__, "service.instance.id": instance}
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource(told), shutdown_on_exit=False, id_generator=Ids()
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000.0))
        self._tracer = self._provider.get_tracer("osler", __version__)

    def write(
        self, name: str, ids: tuple[int, int], times: tuple[float, float], *, first: bool, told: dict[str, Any]
    ) -> None:
        from opentelemetry import trace
        from opentelemetry.context import Context

        context = Context()
        if first:
            self._chosen.ids = ids
        else:
            parent = trace.SpanContext(*ids, is_remote=True, trace_flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
            context = trace.set_span_in_context(trace.NonRecordingSpan(parent), context)
        try:
            began, ended = (int(at * 1e9) for at in times)
            span = self._tracer.start_span(name, context, attributes=told, start_time=began)
            if "error.type" in told:
                span.set_status(trace.StatusCode.ERROR)
            span.end(max(began, ended))
        finally:
            self._chosen.ids = None

    def close(self) -> None:
        self._provider.shutdown()
