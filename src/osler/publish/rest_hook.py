"""Call a subscriber: the resource by HTTP PUT, or an empty POST that only says that there is something.

References
----------
HL7 FHIR R4 4.0.1, Subscription, 2.46.7.1 (rest-hook)
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from osler import __version__
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish.hosts import AllowedHosts, pinned

WHOLE_S: Final = 10.0
"""Longest time from looking the host up to the answer, seconds."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a subscriber is sent.

    Parameters
    ----------
    endpoint : str
    headers : sequence of (str, str)
        That the subscriber asked for.
    reference : str
        ``Type/id`` of the resource; empty for a call that brings nothing.
    text : str
        The resource.
    media_type : str
        Of the resource.
    """

    endpoint: str
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    reference: str = ""
    text: str = field(default="", repr=False)
    media_type: str = ""


async def call(what: Call, hosts: AllowedHosts, *, whole_s: float = WHOLE_S) -> None:
    """Call a subscriber; neither redirects nor the environment's proxies are followed.

    Raises
    ------
    DeliveryRefused
        If the host is not allowed.
    PeerUnavailable
        If it does not answer in time, or answers anything but 2xx.
    """
    try:
        async with asyncio.timeout(whole_s):
            status = await _status(what, hosts)
    except (httpx.HTTPError, OSError, TimeoutError):
        raise PeerUnavailable("the endpoint did not answer") from None
    if not 200 <= status < 300:
        raise PeerUnavailable(f"the endpoint answered HTTP {status}")


async def _status(what: Call, hosts: AllowedHosts) -> int:
    """Return the status alone: what else the answer holds, and how much of it, is of no interest."""
    parts = hosts.check(what.endpoint)
    address = await hosts.address_of(parts)
    path = f"{parts.path.rstrip('/')}/{what.reference}" if what.reference else parts.path
    target = pinned(parts._replace(path=path), address)
    headers = dict(what.headers) | {"User-Agent": f"osler/{__version__}", "Host": parts.netloc}
    if what.reference:
        headers["Content-Type"] = what.media_type
    client = httpx.AsyncClient(  # certificates are read only when there is one to check
        verify=parts.scheme == "https",
        timeout=None,  # noqa: S113 - bounded as a whole
        trust_env=False,
    )
    method, content = ("PUT", what.text.encode()) if what.reference else ("POST", b"")
    sni = {"sni_hostname": parts.hostname or ""}
    try:
        async with client, client.stream(method, target, headers=headers, content=content, extensions=sni) as answer:
            return answer.status_code
    except (httpx.InvalidURL, UnicodeEncodeError):
        raise DeliveryRefused("the address or a header cannot be sent") from None
