"""HTTP to an EHR: listed hosts only, no redirects, bounded in time and size, asked again when it is busy.

The host's address is looked at before it is asked, and that very address is asked, under the host's name: a name that
changes its address between the two gains nothing.
"""

import random
import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import httpx

from osler import __version__
from osler.errors import AccessDenied, ConfigError, InputRejected, Malformed, OslerError, PeerUnavailable, TooLarge
from osler.ingest.ehr.hosts import Hosts

_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_GZIP: Final = 31  # zlib: with the header and trailer of gzip
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Patience:
    """How long and how often an EHR is waited for, and how much of an answer is taken.

    Parameters
    ----------
    attempts : int
    first_wait_s, longest_wait_s : float
        Wait before the second attempt, doubled with each further one; longest that an EHR may ask for with Retry-After.
    silence_s, answer_s : float
        Longest time without a byte, and from the request to the end of the answer.
    answer_bytes : int
        Longest answer, after decompression.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    silence_s: float = 30.0
    answer_s: float = 120.0
    answer_bytes: int = 32_000_000


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request; what it carries is secret or identified."""

    method: Literal["GET", "POST"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """An answer, whole. ``media_type`` is without parameters, in lower case."""

    status: int
    media_type: str
    content_type: str
    content: bytes


class Wire:
    """Asks an EHR. For one thread.

    Parameters
    ----------
    hosts : Hosts
    ca_file : str
        Certificates that are trusted in place of the general ones.
    patience : Patience
    sleep, clock : callable
        Wait some seconds; seconds since the epoch, UTC.

    Raises
    ------
    ConfigError
        If the certificates cannot be read.
    """

    def __init__(
        self,
        hosts: Hosts,
        *,
        ca_file: str = "",
        patience: Patience | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.hosts = hosts
        self._patience = patience or Patience()
        self._sleep = sleep
        self._clock = clock
        self._trusted = _context(ca_file) if ca_file else None
        self._clients: dict[tuple[str, str], httpx.Client] = {}

    def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def ask(self, make: Callable[[], Request]) -> Answer:
        """Return the answer to a request that may be sent again.

        Parameters
        ----------
        make : callable
            Makes the request anew for each attempt: a client assertion holds once.

        Raises
        ------
        PeerUnavailable
            If it does not answer, is busy (408, 425, 429, 502, 503, 504) at each attempt, or asks to wait longer than
            we do.
        InputRejected
            If it fails over this request (500) at each attempt.
        AccessDenied
            If the host may not be asked, or its certificate does not hold.
        Malformed
            If it redirects, the answer is not compressed as it says, or the address is none.
        TooLarge
            If the answer is too long.
        """
        error: OslerError = PeerUnavailable("the EHR was not asked")
        for attempt in range(self._patience.attempts):
            wait = self._patience.first_wait_s * 2**attempt * random.uniform(0.75, 1.0)  # noqa: S311 - spreads clients
            try:
                answer, later = self._once(make(), attempt)
            except httpx.InvalidURL:
                raise Malformed("the EHR names an address that is none") from None
            except PeerUnavailable as unknown:
                error = unknown
            except httpx.HTTPError as fault:
                _check_certificate(fault)
                error = PeerUnavailable(f"the EHR does not answer ({type(fault).__name__})")
            else:
                if answer.status not in _LATER:
                    return answer
                error = _busy(answer.status)
                asked = _seconds(later, self._clock())
                if asked > self._patience.longest_wait_s:
                    raise PeerUnavailable(f"{error} and asks to wait {asked:.0f} s, which is too long")
                wait = max(wait, asked)
            if attempt + 1 < self._patience.attempts:
                self._sleep(min(wait, self._patience.longest_wait_s))
        raise error

    def _once(self, request: Request, attempt: int) -> tuple[Answer, str]:
        """Ask once; return the answer and its Retry-After."""
        parts = self.hosts.check(request.url)
        addresses = self.hosts.addresses(request.url)
        address = addresses[attempt % len(addresses)]
        brackets = f"[{address}]" if ":" in address else address
        target = parts._replace(netloc=f"{brackets}:{parts.port}" if parts.port else brackets).geturl()
        headers = {
            "host": parts.netloc,
            "user-agent": f"osler/{__version__}",
            "accept-encoding": "gzip",
            **request.headers,
        }
        deadline = time.monotonic() + self._patience.answer_s
        with self._client(parts.scheme, parts.netloc).stream(
            request.method,
            target,
            headers=headers,
            data=request.form,
            extensions={"sni_hostname": parts.hostname or ""},
        ) as response:
            if 300 <= response.status_code < 400:
                raise Malformed(f"the EHR redirects (HTTP {response.status_code}), which is not followed")
            content = self._content(response, deadline)
            kind = response.headers.get("content-type", "")
            answer = Answer(response.status_code, kind.partition(";")[0].strip().lower(), kind, content)
            return answer, response.headers.get("retry-after", "")

    def _content(self, response: httpx.Response, deadline: float) -> bytes:
        pieces, length = [], 0
        for piece in _decoded(response):
            length += len(piece)
            if length > self._patience.answer_bytes:
                raise TooLarge(f"the EHR's answer is longer than {self._patience.answer_bytes} bytes")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer takes too long")
            pieces.append(piece)
        return b"".join(pieces)

    def _client(self, scheme: str, netloc: str) -> httpx.Client:
        """Return the connections of a host: those of another were made under its name, even at the same address."""
        if (scheme, netloc) not in self._clients:
            self._clients[scheme, netloc] = httpx.Client(
                verify=self._trusted or scheme == "https",  # certificates are read only when there is one to check
                follow_redirects=False,
                trust_env=False,
                timeout=httpx.Timeout(self._patience.silence_s),
            )
        return self._clients[scheme, netloc]


def _busy(status: int) -> OslerError:
    """Return what is wrong when this answer comes at each attempt; a 500 is about the request, the rest about now."""
    if status == 500:
        return InputRejected("the EHR fails over the request (HTTP 500)")
    return PeerUnavailable(f"the EHR cannot answer now (HTTP {status})")


def _context(ca_file: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError):
        raise ConfigError("ca_file of the ehr cannot be read, or holds no certificate") from None


def _decoded(response: httpx.Response) -> Iterator[bytes]:
    """Yield the content in pieces of bounded length, however well it is compressed."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Malformed("the EHR's answer is encoded in a way that was not asked for")
    if encoding == "identity":
        yield from response.iter_raw()
        return
    inflating = zlib.decompressobj(_GZIP)
    try:
        for compressed in response.iter_raw():
            left = compressed
            while left:
                yield inflating.decompress(left, _PIECE)
                left = inflating.unconsumed_tail
        yield inflating.flush()
    except zlib.error:
        raise Malformed("the EHR's answer is not gzip, as it says") from None
    if not inflating.eof:
        raise Malformed("the EHR's answer ends too early")


def _seconds(retry_after: str, now: float) -> float:
    """Return what Retry-After asks for (RFC 9110 10.2.3): seconds, or a date; 0 when it says neither."""
    if retry_after.strip().isdecimal():
        return float(retry_after.strip()[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _check_certificate(error: BaseException) -> None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise AccessDenied("the EHR's certificate does not hold") from None
        cause = cause.__cause__ or cause.__context__
