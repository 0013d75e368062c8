"""Models that run elsewhere: what may be asked, where, under which agreement, and which answer counts.

A question holds tensors and a random id, and nothing else: no UID, no pseudonym. What the id stands for is known here
alone, so an endpoint has nothing that it could confuse or tell, and an answer under another id is an alarm.
"""

import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol
from urllib.parse import urlsplit

import structlog

from osler.audit import HUB, Agent, AuditRecord
from osler.config import Config
from osler.domain.events import Deidentified, Job
from osler.errors import (
    ConfigError,
    ContractViolation,
    DeliveryRefused,
    IntegrityError,
    Malformed,
    PeerUnavailable,
    ReplyRefused,
)
from osler.metrics import Metrics
from osler.plugins import Card, Endpoint, Tensors
from osler.publish.hosts import AllowedHosts
from osler.publish.oip_client import OipClient, model_url
from osler.standards import oip
from osler.tls import client_context

_SETTING: Final = "models.endpoint_hosts"
_MOST_BYTES: Final = 64 * 2**20
_TRIES: Final = 3
_WAIT_S: Final = 0.5
_LOOK_S: Final = 300.0
_REMEMBERED: Final = 10_000

log = structlog.get_logger(__name__)


def agreements(config: Config) -> dict[str, str]:
    """Return the hosts that may be asked, each with the agreement that covers it.

    Raises
    ------
    ConfigError
        If one has none.
    """
    found: dict[str, str] = {}
    for entry in config.items(_SETTING):
        host, equals, reference = (part.strip() for part in entry.partition("="))
        if not host or not equals or not reference:
            raise ConfigError(f"{config.origins[_SETTING]}: {_SETTING}: write HOST = REFERENCE of the agreement")
        found[host.lower()] = reference
    return found


class Recorder(Protocol):
    """Where each disclosure is written down."""

    def record(self, *records: AuditRecord) -> None:
        """Add entries; durable when this returns."""


class Endpoints:
    """Puts questions of models to their endpoints; see :data:`osler.infer.ports.Ask`.

    Parameters
    ----------
    config : Config
    audit : Recorder
    metrics : Metrics
    pause : callable
        Waits between two tries, seconds.

    Raises
    ------
    ConfigError
        If the setting ``models.endpoint_hosts`` cannot be used.
    """

    def __init__(
        self, config: Config, audit: Recorder, metrics: Metrics, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._agreements = agreements(config)
        hosts = AllowedHosts(list(self._agreements), setting=_SETTING)
        self._hosts = hosts
        self._client = OipClient(hosts, tls=lambda: client_context(config), most_bytes=_MOST_BYTES)
        self._audit = audit
        self._metrics = metrics
        self._pause = pause
        self._looked: dict[tuple[str, str, str], float] = {}
        self._asked: deque[str] = deque(maxlen=_REMEMBERED)

    def __call__(self, job: Job, card: Card, tensors: Tensors) -> Tensors:
        """Ask for one job.

        Raises
        ------
        IntegrityError
            If the job's study is anything but a :class:`Deidentified`.
        ConfigError
            If the endpoint's host is not covered by an agreement.
        ContractViolation
            If the question is not what the card says, or the answer is none that may be believed.
        ReplyRefused
            If the answer is to another question.
        PeerUnavailable
            If there is no answer now.
        """
        if not isinstance(job.study, Deidentified):
            raise IntegrityError("only a de-identified study may leave the hub")
        endpoint = card.endpoint
        if endpoint is None:
            raise ContractViolation("the model has no endpoint")
        cases = oip.cases_of(tensors, _specs(endpoint)[0])
        try:
            agreement = self._agreement(endpoint.url)
            for number in range(1, _TRIES + 1):
                try:
                    self._look(endpoint, card.timeout_s)
                    return self._ask(job, card, tensors, cases, agreement)
                except PeerUnavailable as error:
                    log.warning("endpoint did not answer", model=str(card.model_version), reason=str(error))
                    if number == _TRIES:
                        raise
                self._pause(_WAIT_S * 2.0 ** (number - 1))
        except DeliveryRefused as refused:
            raise ConfigError(f"the endpoint of {card.name} may not be asked: {refused}") from None
        raise AssertionError("unreachable")

    def _agreement(self, url: str) -> str:
        """Return the agreement that covers an address, as a host or as a part of a network."""
        for host, reference in self._agreements.items():
            with contextlib.suppress(DeliveryRefused):
                AllowedHosts([host], setting=_SETTING).check(url)
                return reference
        self._hosts.check(url)
        raise DeliveryRefused(f"the host is not in {_SETTING}")

    def _look(self, endpoint: Endpoint, whole_s: float) -> None:
        """See that the model is ready and of the form that the card says, now and then."""
        key = (endpoint.url, endpoint.model, endpoint.version)
        if time.monotonic() < self._looked.get(key, 0.0):
            return
        base = (endpoint.url, endpoint.model, endpoint.version)
        self._client.exchange(model_url(*base, "ready"), None, whole_s=whole_s)
        try:
            said = oip.read(self._client.exchange(model_url(*base), None, whole_s=whole_s))
        except Malformed as error:
            raise PeerUnavailable(str(error)) from None
        inputs, outputs = _specs(endpoint)
        if said.get("name") != endpoint.model:
            raise ContractViolation("the endpoint describes another model")
        if not oip.same_form(said.get("inputs"), inputs) or not oip.same_form(said.get("outputs"), outputs):
            raise ContractViolation("the endpoint's model has other tensors than the card says")
        self._looked[key] = time.monotonic() + _LOOK_S

    def _ask(self, job: Job, card: Card, tensors: Tensors, cases: int, agreement: str) -> Tensors:
        endpoint = card.endpoint
        assert endpoint is not None
        inputs, outputs = _specs(endpoint)
        nonce = secrets.token_hex(16)  # of this try alone: a late answer to the one before is none to this
        content = oip.question(nonce, tensors, inputs, outputs)
        self._disclosed(job, card, nonce, agreement, len(content))
        self._asked.append(nonce)
        url = model_url(endpoint.url, endpoint.model, endpoint.version, "infer")
        try:
            answer = oip.read(self._client.exchange(url, content, whole_s=card.timeout_s))
        except Malformed as error:
            raise PeerUnavailable(str(error)) from None
        if answer.get("id") != nonce:
            known = answer.get("id") in self._asked
            reason = "the answer is to another question" if known else "the answer is to no question that was asked"
            self._alarm(job, card, nonce, reason)
        expected = oip.Expected(nonce, endpoint.model, endpoint.version, outputs, cases)
        try:
            return oip.tensors_of(answer, expected)
        except ContractViolation as error:
            self._alarm(job, card, nonce, str(error))
        raise AssertionError("unreachable")

    def _disclosed(self, job: Job, card: Card, nonce: str, agreement: str, size: int) -> None:
        """Write the disclosure down, durably, before it happens."""
        endpoint = card.endpoint
        assert endpoint is not None
        host = urlsplit(endpoint.url).hostname or ""
        self._audit.record(
            AuditRecord(
                "endpoint-asked",
                agent=HUB,
                entities=(f"study:{job.study.study_instance_uid}", f"job:{job.id}"),
                detail={
                    "agreement": agreement,
                    "model": str(card.model_version),
                    "endpoint": f"{endpoint.model}@{endpoint.version}",
                    "request": nonce,
                    "bytes": size,
                },
                recipient=Agent(host, "peer", host),
            )
        )

    def _alarm(self, job: Job, card: Card, nonce: str, reason: str) -> None:
        """Put an answer on record that is none, and refuse it."""
        log.critical("an endpoint's answer was refused", job=job.id, model=str(card.model_version), reason=reason)
        self._metrics.refused("endpoint", "reply")
        host = urlsplit(card.endpoint.url).hostname if card.endpoint else ""
        self._audit.record(
            AuditRecord(
                "reply-refused",
                agent=Agent(host or "endpoint", "peer", host or ""),
                outcome=8,
                entities=(f"study:{job.study.study_instance_uid}", f"job:{job.id}"),
                detail={"reason": reason, "model": str(card.model_version), "request": nonce},
            )
        )
        raise ReplyRefused(reason)


def _specs(endpoint: Endpoint) -> tuple[oip.Specs, oip.Specs]:
    inputs = {name: (spec.dtype, spec.shape) for name, spec in endpoint.inputs.items()}
    return inputs, {name: (spec.dtype, spec.shape) for name, spec in endpoint.outputs.items()}
