"""Send a message to a webhook: a signed JSON document by HTTP POST.

The receiver can tell that it comes from the hub, is unchanged and is not an old one sent again::

    Osler-Timestamp    seconds since the epoch, UTC, when it was sent
    Osler-Signature    sha256=<HMAC-SHA-256 of "<Osler-Timestamp>.<body>" under the destination's secret, hex>
    Idempotency-Key    the same when the same message is sent again
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Collection
from typing import Final

import httpx

from osler import __version__
from osler.config import Destination
from osler.domain.events import Delivery
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish.message import Says
from osler.standards.fhir import dumps

_LATER: Final = frozenset({408, 425, 429})


def send(
    message: Says,
    destination: Destination,
    *,
    allowed_hosts: Collection[str],
    clock: Callable[[], float] = time.time,
    whole_s: float = 15.0,
) -> Delivery:
    """Send a message; neither redirects nor the environment's proxies are followed.

    Parameters
    ----------
    message : Says
    destination : Destination
        Of kind ``webhook``.
    allowed_hosts : collection of str
    clock : callable
        Seconds since the epoch, UTC.
    whole_s : float
        Longest time from connecting to the answer, seconds.

    Raises
    ------
    DeliveryRefused
        If the host is not allowed, or answers with a redirect or that the message is at fault.
    PeerUnavailable
        If it does not answer in time, or answers that it cannot now (408, 425, 429, 5xx).
    """
    _check_host(destination, allowed_hosts)
    body = dumps(message.document()).encode()
    timestamp = str(int(clock()))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"osler/{__version__}",
        "Idempotency-Key": message.idempotency_key,
        "Osler-Timestamp": timestamp,
        "Osler-Signature": f"sha256={signature(destination.secret, timestamp, body)}",
    }
    try:
        status = asyncio.run(asyncio.wait_for(_post(destination.url, headers, body), whole_s))
    except (httpx.HTTPError, OSError, TimeoutError):
        raise PeerUnavailable(f"destination {destination.name}: no answer") from None
    if 200 <= status < 300:
        return Delivery(message.reference)
    if status >= 500 or status in _LATER:
        raise PeerUnavailable(f"destination {destination.name}: it cannot take it now (HTTP {status})")
    raise DeliveryRefused(f"destination {destination.name}: it refused it (HTTP {status})")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message, lower-case hex."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _check_host(destination: Destination, allowed_hosts: Collection[str]) -> None:
    try:
        url = httpx.URL(destination.url)
    except httpx.InvalidURL:
        raise DeliveryRefused(f"destination {destination.name}: its url is not one") from None
    if url.scheme not in ("http", "https") or url.host not in allowed_hosts:
        raise DeliveryRefused(f"destination {destination.name}: alert.allowed_hosts does not have its host")


async def _post(url: str, headers: dict[str, str], body: bytes) -> int:
    """Return the status alone: what else the answer holds, and how much of it, is of no interest."""
    encrypted = url.startswith("https:")  # certificates are read only when there is one to check
    client = httpx.AsyncClient(verify=encrypted, timeout=None, trust_env=False)  # noqa: S113 - bounded as a whole
    async with client, client.stream("POST", url, headers=headers, content=body) as answer:
        return answer.status_code
