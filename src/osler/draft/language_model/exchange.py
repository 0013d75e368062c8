"""One question to a chat endpoint: bounded in size and time, no redirect, no proxy of the environment, few tries."""

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Protocol
from urllib.parse import SplitResult

import httpx

from osler.draft.language_model.endpoint import Endpoint
from osler.errors import ContractViolation, PeerUnavailable

CONNECT_S: Final = 5.0
MOST_BYTES: Final = 2_000_000
"""Longest answer; the note of an hour has a tenth of it."""

_BUSY: Final = frozenset({408, 425, 429})
_NO_FORM: Final = frozenset({400, 415, 422, 501})
_TRIES: Final = 4
_LONGEST_NAME: Final = 200
_LONGEST_PAUSE_S: Final = 20.0


class Hosts(Protocol):
    """Says where a question may go."""

    def check(self, url: str) -> SplitResult:
        """Return the parts of an address that may be called; raise when it may not."""
        ...

    async def address_of(self, parts: SplitResult) -> str:
        """Return the network address to connect to."""
        ...


class NotTaken(ContractViolation):
    """The server does not take a question of this form."""


class ChatClient:
    """Asks one endpoint.

    Parameters
    ----------
    endpoint : Endpoint
    hosts : Hosts
    tls : callable
        Makes what the server must prove itself against.
    pause_s : float
        Before the second try of a server that is busy; it doubles.
    """

    def __init__(
        self, endpoint: Endpoint, *, hosts: Hosts, tls: Callable[[], ssl.SSLContext], pause_s: float = 1.0
    ) -> None:
        self.endpoint = endpoint
        self._hosts = hosts
        self._tls = tls
        self._pause_s = pause_s
        self._model = endpoint.named

    async def ask(self, question: Mapping[str, Any]) -> bytes:
        """Post a question; return the body of the answer. The caller bounds the time.

        Raises
        ------
        PeerUnavailable
            If the server cannot be reached, or says again and again that it cannot now.
        NotTaken
            If it does not take the question's form.
        ContractViolation
            If it answers with a redirect, a refusal, or at too great a length.
        DeliveryRefused
            If the host is not allowed.
        """
        content = json.dumps(question, ensure_ascii=False, allow_nan=False).encode()
        return await self._in_tries("POST", self.endpoint.chat_url, content)

    async def model(self) -> str:
        """Return the name of the model: the endpoint's, or the first that the server lists.

        Raises
        ------
        PeerUnavailable, ContractViolation, DeliveryRefused
            As :meth:`ask`; ContractViolation too when the server lists none.
        """
        if not self._model:
            self._model = _first_model(await self._in_tries("GET", self.endpoint.models_url, None))
        return self._model

    async def _in_tries(self, method: str, url: str, content: bytes | None) -> bytes:
        pause = self._pause_s
        for left in range(_TRIES - 1, -1, -1):
            status, after, body = await self._exchange(method, url, content)
            if 200 <= status < 300:
                return body
            if status not in _BUSY and status < 500:
                _refuse(status)
            if not left or (after is not None and after > self.endpoint.timeout_s):
                break
            await asyncio.sleep(pause if after is None else after)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        raise PeerUnavailable(f"the language model's server answered HTTP {status}")

    async def _exchange(self, method: str, url: str, content: bytes | None) -> tuple[int, float | None, bytes]:
        """Return the status, the seconds that the server asks to wait, and the body when it is a success."""
        parts = self._hosts.check(url)
        target = _pinned(parts, await self._hosts.address_of(parts))
        client = httpx.AsyncClient(
            verify=self._tls() if parts.scheme == "https" else False,
            timeout=httpx.Timeout(self.endpoint.timeout_s, connect=CONNECT_S),
            trust_env=False,
            follow_redirects=False,
        )
        headers = {
            **self.endpoint.headers,
            "host": parts.netloc,
            "content-type": "application/json",
            "accept": "application/json",
            "accept-encoding": "identity",
        }
        names = {"sni_hostname": parts.hostname or ""}
        body = bytearray()
        try:
            async with (
                client,
                client.stream(method, target, headers=headers, content=content, extensions=names) as answer,
            ):
                if 200 <= answer.status_code < 300:
                    async for chunk in answer.aiter_raw():
                        body += chunk
                        if len(body) > MOST_BYTES:
                            raise ContractViolation("the language model's answer is too long")
                return answer.status_code, _seconds(answer.headers.get("retry-after")), bytes(body)
        except httpx.InvalidURL:
            raise ContractViolation("the language model's server cannot be addressed") from None
        except (httpx.HTTPError, OSError) as error:
            raise PeerUnavailable(f"the language model's server cannot be reached ({type(error).__name__})") from None


def _first_model(body: bytes) -> str:
    try:
        listed = json.loads(body)["data"][0]["id"]
    except (ValueError, RecursionError, LookupError, TypeError):
        listed = None
    if not isinstance(listed, str) or not listed or not listed.isprintable() or len(listed) > _LONGEST_NAME:
        raise ContractViolation("the language model's server lists no model")
    return listed


def _refuse(status: int) -> None:
    if status in _NO_FORM:
        raise NotTaken(f"the language model's server answered HTTP {status}")
    if 300 <= status < 400:
        raise ContractViolation("the language model's server answered with a redirect, which is not followed")
    raise ContractViolation(f"the language model's server answered HTTP {status}")


def _pinned(parts: SplitResult, address: str) -> str:
    """Return a URL of the address that was looked at; ``Host`` and SNI name the host."""
    brackets = f"[{address}]" if ":" in address else address
    return parts._replace(netloc=f"{brackets}:{parts.port}" if parts.port else brackets).geturl()


def _seconds(after: str | None) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3); None when there is none that can be read."""
    if after is None:
        return None
    if after.strip().isascii() and after.strip().isdigit():
        return float(after.strip()[:9])
    try:
        at = parsedate_to_datetime(after)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
