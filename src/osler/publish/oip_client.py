"""One HTTP exchange with an inference server: bounded in size and time, no redirect, no proxy of the environment."""

import asyncio
import ssl
from collections.abc import Callable
from urllib.parse import quote

import httpx

from osler.errors import ContractViolation, PeerUnavailable
from osler.publish.hosts import AllowedHosts, pinned

_REFUSED = 400
_BUSY = frozenset({404, 408, 425, 429})  # a model that is not loaded (yet) is not found


def model_url(base: str, model: str, version: str, verb: str = "") -> str:
    """Return the address of a version of a model, or of what can be asked of it (``infer``, ``ready``)."""
    path = f"/v2/models/{quote(model, safe='')}/versions/{quote(version, safe='')}"
    return f"{base.rstrip('/')}{path}{f'/{verb}' if verb else ''}"


class OipClient:
    """Exchanges with the servers of a setting.

    Parameters
    ----------
    hosts : AllowedHosts
    tls : callable
        Makes what a server must prove itself against.
    most_bytes : int
        Longest answer.
    """

    def __init__(self, hosts: AllowedHosts, *, tls: Callable[[], ssl.SSLContext], most_bytes: int) -> None:
        self._hosts = hosts
        self._tls = tls
        self._most = most_bytes

    def exchange(self, url: str, content: bytes | None, *, whole_s: float) -> bytes:
        """Ask, and return the body of the answer.

        Parameters
        ----------
        url : str
        content : bytes or None
            JSON to post; None only looks.
        whole_s : float
            Time for all of it, from looking the host up to the last byte, seconds.

        Raises
        ------
        DeliveryRefused
            If the host is not allowed.
        PeerUnavailable
            If it does not answer in time, or says that it cannot now.
        ContractViolation
            If it answers with a redirect, a refusal, or at too great a length.
        """
        try:
            return asyncio.run(self._within(url, content, whole_s))
        except TimeoutError:
            raise PeerUnavailable("the endpoint did not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise PeerUnavailable(f"the endpoint cannot be reached ({type(error).__name__})") from None

    async def _within(self, url: str, content: bytes | None, whole_s: float) -> bytes:
        async with asyncio.timeout(whole_s):
            return await self._exchange(url, content)

    async def _exchange(self, url: str, content: bytes | None) -> bytes:
        parts = self._hosts.check(url)
        target = pinned(parts, await self._hosts.address_of(parts))
        client = httpx.AsyncClient(
            verify=self._tls() if parts.scheme == "https" else False,
            timeout=None,  # noqa: S113 - bounded as a whole
            trust_env=False,
            follow_redirects=False,
        )
        headers = {"host": parts.netloc, "accept-encoding": "identity"}
        if content is not None:
            headers["content-type"] = "application/json"
        method, names = "GET" if content is None else "POST", {"sni_hostname": parts.hostname or ""}
        body = bytearray()
        async with client, client.stream(method, target, headers=headers, content=content, extensions=names) as answer:
            _check(answer.status_code)
            async for chunk in answer.aiter_raw():
                body += chunk
                if len(body) > self._most:
                    raise ContractViolation("the endpoint's answer is too long")
        return bytes(body)


def _check(status: int) -> None:
    if status in _BUSY or status >= 500:
        raise PeerUnavailable(f"the endpoint answered HTTP {status}")
    if 300 <= status < _REFUSED:
        raise ContractViolation("the endpoint answered with a redirect, which is not followed")
    if not 200 <= status < 300:
        raise ContractViolation(f"the endpoint answered HTTP {status}")
