"""What serves people, in one place."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from osler.api.people.browsers import Browsers
from osler.api.people.glass import BrokenGlass
from osler.api.people.identity_provider import IdentityProvider, ProviderSettings
from osler.api.people.pages import Pages
from osler.api.people.roles import Role
from osler.api.people.second_factor import SecondFactors
from osler.api.people.sessions import Sessions
from osler.api.people.store import UserStore
from osler.api.people.waits import Waits
from osler.storage.blobs import Sealer
from osler.storage.database import Database


class Keys(Protocol):
    """The key ring."""

    def sealer(self, purpose: Literal["record"]) -> Sealer:
        """Return what seals and opens values."""

    def index(self, purpose: str, *parts: str) -> bytes:
        """Return a keyed hash."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings say about people.

    Parameters
    ----------
    idle_s, absolute_s : float
        How long a session lasts without a request, and in all, seconds.
    max_failures : int
        Failed sign-ins before one must wait.
    require_mfa : frozenset of Role
        Roles that must have a second factor.
    glass_s : float
        How long broken glass stays open, seconds.
    provider : ProviderSettings or None
        An external identity provider, where people sign in besides our own accounts.
    """

    idle_s: float = 900.0
    absolute_s: float = 28_800.0
    max_failures: int = 5
    require_mfa: frozenset[Role] = field(default_factory=frozenset)
    glass_s: float = 3600.0
    provider: ProviderSettings | None = None


@dataclass(frozen=True, slots=True)
class People:
    """The stores and pages of people. Make one with :meth:`open`."""

    policy: Policy
    users: UserStore
    sessions: Sessions
    waits: Waits
    browsers: Browsers
    factors: SecondFactors
    pages: Pages
    glass: BrokenGlass
    sealer: Sealer
    provider: IdentityProvider | None
    clock: Callable[[], float]

    @property
    def external_name(self) -> str:
        """Name of the external identity provider; empty without one."""
        return self.provider.settings.name if self.provider else ""

    @classmethod
    def open(
        cls,
        database: Database,
        *,
        keys: Keys,
        base_url: str,
        site: str = "Osler",
        policy: Policy | None = None,
        clock: Callable[[], float] = time.time,
    ) -> "People":
        """Make all of them on one ledger.

        Parameters
        ----------
        database : Database
        keys : Keys
            Seals the secrets of second factors and what people write.
        base_url : str
            Address under which others reach us.
        site : str
        policy : Policy, optional
        clock : callable
            Seconds since the epoch, UTC.
        """
        policy, sealer = policy or Policy(), keys.sealer("record")
        sessions = Sessions(
            database,
            secure=base_url.startswith("https://"),
            idle_s=policy.idle_s,
            absolute_s=policy.absolute_s,
            clock=clock,
        )
        provider = None
        if policy.provider is not None:
            redirect_uri = f"{base_url}/oauth/external/return"
            provider = IdentityProvider(policy.provider, redirect_uri=redirect_uri, clock=clock)
        return cls(
            policy=policy,
            users=UserStore(database, clock=clock),
            sessions=sessions,
            waits=Waits(database, max_failures=policy.max_failures, clock=clock),
            browsers=Browsers(keys.index, secure=sessions.secure),
            factors=SecondFactors(database, sealer=sealer, site=site, clock=clock),
            pages=Pages(sessions, base_url=base_url, site=site),
            glass=BrokenGlass(database, sealer=sealer, lasts_s=policy.glass_s),
            sealer=sealer,
            provider=provider,
            clock=clock,
        )
