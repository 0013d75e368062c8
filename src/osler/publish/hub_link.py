"""An edge's line to its hub: HTTPS, one request at a time, bounded, and trusted no further than it must be."""

import base64
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from osler.domain.events import Deidentified
from osler.domain.findings import Inference
from osler.domain.inference_json import from_json
from osler.domain.manifest import dumps, manifest_of
from osler.errors import ConfigError, ContractViolation, DeliveryRefused, Malformed, NotFound, PeerUnavailable

_SCOPE: Final = "osler/spoke"
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_WAIT_S: Final = 30.0  # for each piece of an answer
_WHOLE_S: Final = 120.0
_LARGEST_ANSWER: Final = 64_000_000
_REFUSALS: Final = frozenset({400, 403, 409, 413, 415, 422})
"""The hub has understood, and will answer the same to the same."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the hub says of a study: how many models have still to read it, and each result with its revision."""

    study_instance_uid: str
    open: int
    results: tuple[tuple[int, Inference], ...]


class HubLink:
    """The line to one hub. For one thread.

    Parameters
    ----------
    url : str
        https address of the hub; http on loopback alone.
    tls : callable
        Makes what the hub must prove itself against, and shows our certificate.
    client_id, secret : str
        What the hub knows us as.

    Raises
    ------
    ConfigError
        If the address cannot be one.
    """

    def __init__(self, url: str, *, tls: Callable[[], ssl.SSLContext], client_id: str, secret: str) -> None:
        parts = urlsplit(url)
        plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or plain) or parts.query or parts.fragment:
            raise ConfigError("edge.hub must be an https address, https://HOST:PORT")
        self.host = parts.hostname
        self._base = url.rstrip("/")
        self._tls = tls if parts.scheme == "https" else None
        self._credentials = (client_id, secret)
        self._client: httpx.Client | None = None
        self._token = ""

    def offer(self, study: Deidentified) -> tuple[str, ...]:
        """Say what a study is made of; return the SOP Instance UIDs that the hub has not. None: the hub has it all.

        Raises
        ------
        PeerUnavailable
            If the hub does not answer, or not as a hub does.
        DeliveryRefused
            If it does not want the study.
        """
        content = dumps(manifest_of(study)).encode()
        document = self._json("PUT", _path(study.study_instance_uid), content, "application/json")
        missing = document.get("missing")
        if not isinstance(missing, list) or not all(isinstance(uid, str) for uid in missing):
            raise PeerUnavailable("the hub does not say what it misses")
        return tuple(missing)

    def send(self, study_uid: str, sop_uid: str, content: bytes) -> None:
        """Send one instance; when this returns, the hub has it durably. Raises as :meth:`offer`."""
        path = _path(study_uid, "instances", sop_uid)
        self._ask("PUT", path, content, "application/dicom")

    def answer(self, study_uid: str) -> Answer:
        """Fetch what the hub's models said of a study.

        Raises
        ------
        NotFound
            If the hub does not have the study (any more).
        ContractViolation
            If the answer is whole, and not what a hub answers.
        PeerUnavailable, DeliveryRefused
        """
        document = self._json("GET", _path(study_uid))
        waiting, results = document.get("open"), document.get("results")
        if not isinstance(waiting, int) or not isinstance(results, list):
            raise ContractViolation("the hub's answer cannot be read")
        return Answer(str(document.get("study_instance_uid")), waiting, tuple(map(_result, results)))

    def heatmap(self, study_uid: str, ref: str) -> bytes:
        """Fetch a heatmap. Raises as :meth:`answer`."""
        return self._ask("GET", _path(study_uid, "heatmaps", ref))

    def close(self) -> None:
        """Hang up; the next request calls again, with the certificate as it is then."""
        if self._client is not None:
            self._client.close()
            self._client = None
        self._token = ""

    def _json(self, method: str, path: str, content: bytes = b"", media_type: str = "") -> Mapping[str, Any]:
        try:
            document = json.loads(self._ask(method, path, content, media_type))
        except (ValueError, RecursionError):
            raise PeerUnavailable("the hub's answer is not JSON") from None
        if not isinstance(document, Mapping):
            raise PeerUnavailable("the hub's answer is not a JSON object")
        return document

    def _ask(self, method: str, path: str, content: bytes = b"", media_type: str = "") -> bytes:
        headers = {"content-type": media_type} if media_type else {}
        fresh = not self._token
        status, body = self._call(method, path, content, headers | self._bearer())
        if status == 401 and not fresh:  # it ran out, or the hub knows it no more
            self._token = ""
            status, body = self._call(method, path, content, headers | self._bearer())
        if status == 404:
            raise NotFound("the hub does not have it")
        if status in _REFUSALS:
            raise DeliveryRefused(f"the hub answered HTTP {status}")
        if not 200 <= status < 300:
            raise PeerUnavailable(f"the hub answered HTTP {status}")
        return body

    def _bearer(self) -> dict[str, str]:
        if not self._token:
            client_id, secret = (quote(part, safe="") for part in self._credentials)  # RFC 6749 2.3.1
            form = f"grant_type=client_credentials&scope={quote(_SCOPE, safe='')}".encode()
            basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
            headers = {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"}
            status, body = self._call("POST", "/oauth/token", form, headers)
            if status != 200:
                raise PeerUnavailable(f"the hub gives this site no token (HTTP {status})")
            try:
                self._token = str(json.loads(body)["access_token"])
            except (ValueError, KeyError, TypeError, RecursionError):
                raise PeerUnavailable("the hub's token cannot be read") from None
        return {"authorization": f"Bearer {self._token}"}

    def _call(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return status and body; neither redirects nor the environment's proxies are followed."""
        deadline, body = time.monotonic() + _WHOLE_S, bytearray()
        try:
            with self._open().stream(
                method, self._base + path, content=content or None, headers={**headers, "accept-encoding": "identity"}
            ) as answer:
                for chunk in answer.iter_raw():
                    body += chunk
                    if len(body) > _LARGEST_ANSWER or time.monotonic() > deadline:
                        raise PeerUnavailable("the hub's answer is too long, or takes too long")
                return answer.status_code, bytes(body)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise PeerUnavailable(f"the hub cannot be reached ({type(error).__name__})") from None

    def _open(self) -> httpx.Client:
        if self._client is None:
            self._client = httpx.Client(
                verify=self._tls() if self._tls else False,
                follow_redirects=False,
                trust_env=False,
                timeout=_WAIT_S,
            )
        return self._client


def _path(*parts: str) -> str:
    return "/spoke/studies/" + "/".join(quote(part, safe="") for part in parts)


def _result(row: Any) -> tuple[int, Inference]:
    if not isinstance(row, Mapping) or not isinstance(row.get("revision"), int):
        raise ContractViolation("a result of the hub cannot be read")
    try:
        return row["revision"], from_json(row.get("inference"))
    except Malformed as error:
        raise ContractViolation(f"a result of the hub: {error}") from None
