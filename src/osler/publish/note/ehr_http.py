"""HTTP to an EHR's FHIR server: an allowed host, a bearer token, no redirects, bounded in time and size.

Nothing is sent twice here: who asks decides whether the same may be asked again.

References
----------
RFC 6750; HL7 FHIR R4 4.0.1, 3.1.0 RESTful API
"""

import ssl
import time
from collections.abc import Mapping
from typing import Final, Generic, Protocol, TypeVar

import httpx

from osler import __version__
from osler.errors import DeliveryRefused, OslerError, PeerUnavailable
from osler.publish.hosts import AllowedHosts, pinned
from osler.publish.note.ehr import Answer

_WHOLE_S: Final = 60.0
_LONGEST: Final = 8_000_000


class Token(Protocol):
    """An access token."""

    @property
    def value(self) -> str:
        """What the Authorization header carries."""


_Token = TypeVar("_Token", bound=Token)


class Access(Protocol[_Token]):
    """Gives the token that requests carry: a SMART backend client has one."""

    def token(self) -> _Token:
        """Return one that holds for a while yet."""
        ...

    def renew(self, stale: _Token) -> _Token:
        """Return another than one that was refused."""
        ...


class EhrHttp(Generic[_Token]):
    """An EHR's FHIR server. For one thread.

    Parameters
    ----------
    base : str
        Base URL without a slash at the end.
    hosts : AllowedHosts
        Of the EHR's settings.
    access : Access
    tls : SSLContext, optional
        Certificates that are trusted in place of the general ones.
    whole_s : float
        Longest time of one request, seconds.
    """

    def __init__(
        self,
        base: str,
        hosts: AllowedHosts,
        access: Access[_Token],
        *,
        tls: ssl.SSLContext | None = None,
        whole_s: float = _WHOLE_S,
    ) -> None:
        self._base = base
        self._hosts = hosts
        self._access = access
        self._tls = tls
        self._whole_s = whole_s

    def ask(self, method: str, path: str, *, headers: Mapping[str, str], content: str = "") -> Answer:
        """Send one request; with another token when the first is refused, which did nothing then.

        Raises
        ------
        PeerUnavailable
            If no answer comes, or too long a one; what was asked for may have happened.
        DeliveryRefused
            If the host is not allowed, gives us no token, or does not take it.
        """
        try:
            token = self._access.token()
            answer = self._once(method, path, headers, content, token)
            if answer.status == 401:
                answer = self._once(method, path, headers, content, self._access.renew(token))
        except (PeerUnavailable, DeliveryRefused):
            raise
        except OslerError as error:
            kind = PeerUnavailable if error.retryable else DeliveryRefused
            raise kind(str(error)) from None
        if answer.status == 401:
            raise DeliveryRefused("the EHR does not take our token")
        return answer

    def _once(self, method: str, path: str, headers: Mapping[str, str], content: str, token: Token) -> Answer:
        parts = self._hosts.check(f"{self._base}/{path}")
        target = pinned(parts, self._hosts.address_now(parts))
        sent = {
            **headers,
            "host": parts.netloc,
            "user-agent": f"osler/{__version__}",
            "accept-encoding": "identity",
            "authorization": f"Bearer {token.value}",
        }
        body = content.encode() if content else None
        sni = {"sni_hostname": parts.hostname or ""}
        verify = self._tls or parts.scheme == "https"  # certificates are read only when there is one to check
        deadline = time.monotonic() + self._whole_s
        try:
            with (
                httpx.Client(verify=verify, trust_env=False, follow_redirects=False, timeout=self._whole_s) as http,
                http.stream(method, target, headers=sent, content=body, extensions=sni) as response,
            ):
                return _answer(response, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeEncodeError) as error:
            raise PeerUnavailable(f"the EHR does not answer ({type(error).__name__})") from None


def _answer(response: httpx.Response, deadline: float) -> Answer:
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > _LONGEST or time.monotonic() > deadline:
            raise PeerUnavailable("the EHR's answer is too long, or takes too long")
    location = response.headers.get("location") or response.headers.get("content-location") or ""
    return Answer(response.status_code, location, response.headers.get("etag", ""), bytes(content))
