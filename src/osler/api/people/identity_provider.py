"""An external OpenID Connect identity provider: where it is, how one gets there, and what its answer proves.

References
----------
OpenID Connect Core 1.0, 3.1; Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (issuer in the answer); RFC 9700
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from osler.api.people.roles import Role
from osler.errors import ConfigError, PeerUnavailable, Unauthenticated

ALGORITHMS: Final = ("RS256", "ES256")
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_FRESH_S: Final = 3600.0
_AGAIN_S: Final = 30.0
_WHOLE_S: Final = 10.0
_LONGEST: Final = 256 * 1024
_LEEWAY_S: Final = 30
_MIN_RSA_BITS: Final = 2048
_PLAIN: Final = {"accept": "application/json", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the settings say about an identity provider.

    Parameters
    ----------
    issuer, client_id : str
    client_secret : str
        Empty for a public client.
    name : str
        As the sign-in page calls it.
    scope : str
    name_claim, role_claim : str
        Claims of the id_token that hold the user name and the roles; a dot leads into an object.
    roles : mapping of str to Role
        Values of the role claim, in the order in which they count.
    hosts : frozenset of str
        Hosts that its endpoints may have besides the issuer's.

    Raises
    ------
    ConfigError
        If the issuer is no https address (http is for loopback alone).
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    name: str = "your organisation's account"
    scope: str = "openid profile"
    name_claim: str = "preferred_username"
    role_claim: str = "roles"
    roles: Mapping[str, Role] = field(default_factory=dict)
    hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not _host(self.issuer):
            raise ConfigError("oidc.issuer must be an https address (http is for loopback alone)")


@dataclass(frozen=True, slots=True)
class Asserted:
    """What an id_token says of a person.

    Parameters
    ----------
    subject : str
        The issuer, a blank, and its name for the person.
    name : str
        User name; empty when it says none.
    role : Role or None
        The first in the settings of those that it says.
    second_factor : bool
        Whether the provider saw one (``amr``).
    """

    subject: str
    name: str
    role: Role | None
    second_factor: bool


@dataclass(frozen=True, slots=True)
class _Document:
    content: Mapping[str, Any]
    read_at: float


class IdentityProvider:
    """The provider of the settings.

    Parameters
    ----------
    settings : ProviderSettings
    redirect_uri : str
        Where it sends people back to.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self, settings: ProviderSettings, *, redirect_uri: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.settings = settings
        self._redirect_uri = redirect_uri
        self._clock = clock
        self._reading = threading.Lock()
        self._documents: dict[str, _Document] = {}
        self._hosts = (settings.hosts | {_host(settings.issuer)}) - {""}

    def authorization_url(self, *, state: str, nonce: str, verifier: str, again: bool = False) -> str:
        """Return where a person is sent to sign in; with ``again`` even if they are signed in there.

        Raises
        ------
        PeerUnavailable
            If the provider does not answer, or not as one.
        """
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        parameters = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": self.settings.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        } | ({"prompt": "login", "max_age": "0"} if again else {})
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"

    def redeem(self, code: str, *, verifier: str, nonce: str, since: float | None = None) -> Asserted:
        """Give a code for an id_token and return what that proves; with ``since``, that the sign-in is not older.

        Parameters
        ----------
        code, verifier, nonce : str
        since : float, optional
            Seconds since the epoch, UTC.

        Raises
        ------
        Unauthenticated
            If the provider refuses the code, or its token does not hold; the words name the rule.
        PeerUnavailable
            If it does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        headers = dict(_PLAIN)
        secret, client_id = self.settings.client_secret, self.settings.client_id
        methods = self._metadata().get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if not secret:
            form["client_id"] = client_id
        elif "client_secret_basic" in methods:
            pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
            headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        status, answer = self._ask("POST", self._endpoint("token_endpoint"), form, headers)
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise Unauthenticated("the identity provider did not take its own code")
        claims = self._claims(token, nonce)
        if since is not None:
            self._require_fresh(claims.get("auth_time"), since)
        return self._asserted(claims)

    def _require_fresh(self, auth_time: object, since: float) -> None:
        if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
            raise Unauthenticated("the id_token does not say when the person signed in")
        if not since - _LEEWAY_S <= auth_time <= self._clock() + _LEEWAY_S:
            raise Unauthenticated("the person did not sign in anew")

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in ALGORITHMS:
                raise Unauthenticated(f"the id_token must be signed with {' or '.join(ALGORITHMS)}")
            claims = jwt.decode(token, self._key(algorithm, kid), algorithms=[algorithm]).claims
            registry = jwt.JWTClaimsRegistry(
                now=int(self._clock()),
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self.settings.issuer},
                aud={"essential": True, "value": self.settings.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            )
            registry.validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("the id_token does not hold") from None
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.settings.client_id) != self.settings.client_id:
            raise Unauthenticated("the id_token was made for another client")
        if not claims["exp"] > self._clock() - _LEEWAY_S:  # said so that NaN is not an age
            raise Unauthenticated("the id_token has expired")
        return claims

    def _asserted(self, claims: Mapping[str, Any]) -> Asserted:
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject or len(subject) > 255 or not subject.isprintable():
            raise Unauthenticated("the id_token names nobody")
        name, said = _claim(claims, self.settings.name_claim), _claim(claims, self.settings.role_claim)
        roles = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
        methods = claims.get("amr")
        return Asserted(
            subject=f"{self.settings.issuer} {subject}",
            name=name if isinstance(name, str) else "",
            role=next((role for value, role in self.settings.roles.items() if value in roles), None),
            second_factor=isinstance(methods, list) and bool({"mfa", "otp", "hwk", "swk"} & set(map(str, methods))),
        )

    def _key(self, algorithm: str, kid: object) -> RSAKey | ECKey:
        """Return the provider's key of a name; its keys are read again when the name is new, but not without end."""
        uri = self._endpoint("jwks_uri")
        found = _find(self._document(uri), algorithm, kid) or _find(
            self._document(uri, fresh_s=_AGAIN_S), algorithm, kid
        )
        if found is None:
            raise Unauthenticated("the id_token is signed with a key that the identity provider does not show")
        return found

    def _metadata(self) -> Mapping[str, Any]:
        found = self._document(f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.settings.issuer:
            raise PeerUnavailable("the identity provider calls itself another issuer than oidc.issuer")
        return found

    def _endpoint(self, name: str) -> str:
        url = self._metadata().get(name)
        if not isinstance(url, str) or _host(url) not in self._hosts:
            raise PeerUnavailable(f"the identity provider's {name} is not on a host that the settings name")
        return url

    def _document(self, url: str, *, fresh_s: float = _FRESH_S) -> Mapping[str, Any]:
        held = self._documents.get(url)
        if held is not None and self._clock() - held.read_at < fresh_s:
            return held.content
        with self._reading:
            held = self._documents.get(url)
            if held is None or self._clock() - held.read_at >= fresh_s:
                status, content = self._ask("GET", url, None, _PLAIN)
                if status != 200:
                    raise PeerUnavailable("the identity provider does not answer")
                held = self._documents[url] = _Document(content, self._clock())
            return held.content

    def _ask(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """Ask one of its endpoints: no redirect, no proxy of the environment, bounded in size and time."""
        content, deadline = b"", time.monotonic() + _WHOLE_S
        try:
            with (
                httpx.Client(follow_redirects=False, trust_env=False, timeout=_WHOLE_S) as client,
                client.stream(method, url, data=form, headers=headers) as response,
            ):
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > _LONGEST or time.monotonic() > deadline:
                        raise PeerUnavailable("the identity provider's answer is too long, or takes too long")
            answer = json.loads(content)
        except (httpx.HTTPError, ValueError, RecursionError):
            raise PeerUnavailable("the identity provider does not answer") from None
        if not isinstance(answer, dict):
            raise PeerUnavailable("the identity provider does not answer with an object")
        return response.status_code, answer


def _host(url: str) -> str:
    """Return the host of an address that may be asked: by https, or on loopback; empty for any other."""
    try:
        parts = urlsplit(url)
        host, plain = parts.hostname or "", parts.username is None and not parts.fragment
    except ValueError:
        return ""
    encrypted = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    return host if encrypted and plain else ""


def _find(key_set: Mapping[str, Any], algorithm: str, kid: object) -> RSAKey | ECKey | None:
    entries = key_set.get("keys")
    kind = {"RS256": "RSA", "ES256": "EC"}[algorithm]
    fit = [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and entry.get("kty") == kind
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
        and (kid is None or entry.get("kid") == kid)
    ]
    if len(fit) != 1:
        return None
    if kind == "EC":
        return ECKey.import_key(fit[0])
    modulus = base64.urlsafe_b64decode(f"{fit[0]['n']}==")
    return RSAKey.import_key(fit[0]) if len(modulus) * 8 >= _MIN_RSA_BITS else None


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    value: Any = claims
    for name in (path,) if path in claims else path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
