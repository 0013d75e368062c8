"""Access in a person's name: a standalone launch from this machine, through the person's browser.

The browser comes back to a port on loopback, once, with the state that we gave it; the code is worth nothing without
the verifier, which never leaves this process.

References
----------
SMART App Launch 2.2, App Launch: Standalone; RFC 7636 (PKCE); RFC 8252 (native apps); RFC 9207 (issuer in the answer);
OpenID Connect Core 1.0, 3.1.3.7
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from osler.errors import AccessDenied, ConfigError, Malformed, Unauthenticated
from osler.ingest.ehr.access import Credentials, Endpoints, Token, get_json, get_token
from osler.ingest.ehr.loopback import Listener
from osler.ingest.ehr.wire import Wire

_KINDS: Final = {"RS256": "RSA", "RS384": "RSA", "ES256": "EC", "ES384": "EC"}
_MIN_RSA_BITS: Final = 2048
_LEEWAY_S: Final = 30
_WAIT_S: Final = 300.0
_REFUSALS: Final = frozenset({"access_denied", "invalid_scope", "unauthorized_client", "login_required"})


@dataclass(frozen=True, slots=True, repr=False)
class Launch:
    """One launch.

    Parameters
    ----------
    wire : Wire
    endpoints : Endpoints
    credentials : Credentials
    fhir_base : str
    scope : str
    clock : callable
        Seconds since the epoch, UTC.
    """

    wire: Wire
    endpoints: Endpoints
    credentials: Credentials
    fhir_base: str
    scope: str
    clock: Callable[[], float] = time.time

    def sign_in(self, show: Callable[[str], None], *, port: int = 0, wait_s: float = _WAIT_S) -> "UserAccess":
        """Send a person to the EHR and wait until the browser comes back.

        Parameters
        ----------
        show : callable
            Given the address that the person is to open.
        port : int
            Of loopback, that the browser comes back to; 0: any that is free.
        wait_s : float
            Longest time, seconds.

        Raises
        ------
        ConfigError
            If the port is taken, or the EHR cannot do this.
        AccessDenied
            If the person or the EHR refuses, or another issuer answers.
        PeerUnavailable
            If nobody comes back in time.
        """
        if not self.endpoints.authorize:
            raise ConfigError("the EHR has no authorization endpoint: only backend services can be used")
        if self.endpoints.pkce and "S256" not in self.endpoints.pkce:
            raise ConfigError("the EHR does not know PKCE with S256")
        self.wire.hosts.check(self.endpoints.authorize)
        state, verifier, nonce = (secrets.token_urlsafe(48) for _ in range(3))
        with Listener(port, state) as listener:
            redirect_uri = listener.redirect_uri
            show(self._address(redirect_uri, state, verifier, nonce))
            answer = listener.wait(wait_s)
        code = self._code(answer)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        token = get_token(self.wire, self.endpoints, self.credentials, form, self.clock)
        if "scope" not in token.answer:
            token = replace(token, scope=self.scope)
        claims = self._identity(token, nonce)
        return UserAccess(self, token, claims)

    def refreshed(self, refresh_token: str) -> Token:
        """Return a new token for a refresh token."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return get_token(self.wire, self.endpoints, self.credentials, form, self.clock)

    def _address(self, redirect_uri: str, state: str, verifier: str, nonce: str) -> str:
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.credentials.client_id,
            "redirect_uri": redirect_uri,
            "scope": self.scope,
            "state": state,
            "aud": self.fhir_base,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        if "openid" in self.scope.split():
            query["nonce"] = nonce
        joint = "&" if urlsplit(self.endpoints.authorize).query else "?"
        return f"{self.endpoints.authorize}{joint}{urlencode(query)}"

    def _code(self, answer: Mapping[str, str]) -> str:
        if self.endpoints.issuer and answer.get("iss", self.endpoints.issuer) != self.endpoints.issuer:
            raise AccessDenied("the answer is of another issuer than the EHR's")
        if "error" in answer:
            error = answer["error"]
            raise AccessDenied(f"the EHR gives no access ({error if error in _REFUSALS else 'an error'})")
        if not answer.get("code"):
            raise AccessDenied("the EHR's answer holds no code")
        return answer["code"]

    def _identity(self, token: Token, nonce: str) -> Mapping[str, Any]:
        """Return who has signed in, as the id_token proves it; nothing when that was not granted."""
        text = token.answer.get("id_token")
        if "openid" not in token.scope.split():
            return {}
        if not isinstance(text, str):
            raise Unauthenticated("the EHR does not say who has signed in (no id_token)")
        try:
            header = jws.extract_compact(text.encode()).headers()
        except (JoseError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("the EHR's id_token is no JWT") from None
        algorithm = str(header.get("alg"))
        if algorithm not in _KINDS:
            raise Unauthenticated("the EHR's id_token is signed in a way that is not taken")
        key = _key(get_json(self.wire, self._jwks_uri()), algorithm, header.get("kid"))
        try:
            claims = jwt.decode(text, key, algorithms=[algorithm]).claims
            jwt.JWTClaimsRegistry(
                now=int(self.clock()),
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self.endpoints.issuer},
                aud={"essential": True, "value": self.credentials.client_id},
                exp={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": nonce},
            ).validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the EHR's id_token does not hold ({type(error).__name__})") from None
        return claims

    def _jwks_uri(self) -> str:
        if self.endpoints.jwks:
            return self.endpoints.jwks
        if not self.endpoints.issuer:
            raise Malformed("the EHR's SMART configuration names no keys for its id_token")
        found = get_json(self.wire, f"{self.endpoints.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.endpoints.issuer or not isinstance(found.get("jwks_uri"), str):
            raise Malformed("the EHR's OpenID configuration is of another issuer, or names no keys")
        return str(found["jwks_uri"])


class UserAccess:
    """Access in the name of a person who has signed in; refreshed as long as the EHR allows it.

    Parameters
    ----------
    launch : Launch
    token : Token
    claims : mapping
        Of the id_token.
    """

    def __init__(self, launch: Launch, token: Token, claims: Mapping[str, Any]) -> None:
        self._launch = launch
        self._held = token
        self._refresh = token.answer.get("refresh_token")
        patient, user = token.answer.get("patient"), claims.get("fhirUser")
        self.patient = patient if isinstance(patient, str) else ""
        """Logical id of the patient whom the person chose; empty when none was."""
        self.user = user if isinstance(user, str) else ""
        """URL of the person's resource at the EHR."""

    def token(self) -> Token:
        """Return the token, a new one when the old one is about to end."""
        if self._held.expires_at <= self._launch.clock() and isinstance(self._refresh, str):
            self._renew()
        return self._held

    def renew(self, stale: Token) -> Token:
        """Return a new token in place of one that was refused.

        Raises
        ------
        Unauthenticated
            If there is no way to one but to sign in again.
        """
        if self._held is stale:
            self._renew()
        return self._held

    def _renew(self) -> None:
        if not isinstance(self._refresh, str):
            raise Unauthenticated("the EHR does not take the token any more: sign in again")
        new = self._launch.refreshed(self._refresh)
        self._refresh = new.answer.get("refresh_token", self._refresh)
        self._held = new if "scope" in new.answer else replace(new, scope=self._held.scope)


def _key(key_set: Mapping[str, Any], algorithm: str, kid: object) -> RSAKey | ECKey:
    entries = key_set.get("keys")
    fit = [
        entry
        for entry in (entries if isinstance(entries, list) else [])
        if isinstance(entry, dict)
        and entry.get("kty") == _KINDS[algorithm]
        and entry.get("use", "sig") == "sig"
        and entry.get("alg", algorithm) == algorithm
        and (kid is None or entry.get("kid") == kid)
    ]
    if len(fit) != 1:
        raise Unauthenticated("the EHR's id_token is signed with a key that the EHR does not show")
    try:
        if _KINDS[algorithm] == "EC":
            return ECKey.import_key(fit[0])
        if len(base64.urlsafe_b64decode(f"{fit[0]['n']}==")) * 8 >= _MIN_RSA_BITS:
            return RSAKey.import_key(fit[0])
    except (JoseError, ValueError, TypeError, KeyError):
        pass
    raise Unauthenticated("the EHR's key for id_tokens cannot be used")
