"""What the HTTP side works with; the hub hands it over."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Connection

from osler.api.cds_hooks.feedback import CardStore
from osler.api.people.service import People
from osler.api.smart.clients import ClientStore
from osler.api.smart.signing import SigningKeys
from osler.api.smart.tokens import TokenStore
from osler.audit import Agent, AuditRecord
from osler.domain.events import Received
from osler.domain.manifest import Manifest
from osler.metrics import Figures, Metrics
from osler.publish.hosts import AllowedHosts
from osler.storage.database import Database
from osler.storage.exports import ExportStore
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.subscriptions import SubscriptionStore

if TYPE_CHECKING:  # commands that only need this module need not load what drafts notes
    from osler.scribe.desk import ScribeDesk


class Audit(Protocol):
    """Where every access is written down."""

    def append(self, connection: Connection, *records: AuditRecord) -> None:
        """Add entries within the caller's transaction."""

    def record(self, *records: AuditRecord) -> None:
        """Add entries; durable when this returns."""


class SpokeDesk(Protocol):
    """What the door needs of the hub."""

    def offer(self, agent: Agent, study_uid: str, manifest: Manifest) -> list[str]:
        """Take a revision of a study; return the instances that are missing."""

    def store(self, agent: Agent, study_uid: str, sop_uid: str, content: bytes) -> None:
        """Keep one instance."""

    def results(self, agent: Agent, study_uid: str) -> dict[str, Any]:
        """Return what the models said."""

    def heatmap(self, agent: Agent, study_uid: str, ref: str) -> bytes:
        """Return a heatmap."""


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the HTTP side.

    Parameters
    ----------
    base_url : str
        Address under which others reach us, without a slash at the end.
    database, audit, resources, search, clients, tokens, metrics
        The stores.
    accept : callable
        Files one received instance; raises an OslerError when it cannot.
    checks : mapping of str to callable
        What must be well for the hub to be ready; each raises an OslerError when it is not.
    max_body_bytes : int
        Largest body of a STOW request.
    max_resource_bytes : int
        Largest body of a FHIR request.
    check_references : bool
        Whether a reference to a resource of ours must lead somewhere.
    cors_origins : tuple of str
        Origins of browser apps that may call; ``*`` is any.
    people : People, optional
        Accounts, sessions and pages; without them nobody signs in.
    signing_keys : SigningKeys, optional
        Sign what says to an app who the person is; needed with ``people``.
    jwks_hosts : tuple of str
        Hosts from which keys of clients may be fetched.
    cards : CardStore, optional
        Keeps what CDS Hooks clients were shown; without it there are no CDS services.
    exports : ExportStore, optional
        Keeps bulk exports; without it there are none.
    max_exports : int
        Exports that may run at a time.
    subscriptions : SubscriptionStore, optional
        Keeps what subscribers wait for; the ``resources`` tell it of each change. Without it nobody is told anything.
    subscription_hosts : AllowedHosts
        Where subscribers may be called.
    figures : callable
        Returns what ``/metrics`` shows besides the ledger and what was counted.
    spokes : SpokeDesk, optional
        Takes studies of edges; without it there is no door for them.
    scribe : ScribeDesk, optional
        Documents encounters; without it nobody can.
    cds_fhir_hosts : tuple of str
        FHIR servers of CDS clients that may be asked for what they did not send.
    """

    base_url: str
    database: Database
    audit: Audit
    resources: ResourceStore
    search: ResourceSearch
    clients: ClientStore
    tokens: TokenStore
    accept: Callable[[Received], None]
    metrics: Metrics
    checks: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    max_body_bytes: int = 1024 * 1_000_000
    max_resource_bytes: int = 16 * 1_000_000
    check_references: bool = True
    cors_origins: tuple[str, ...] = ()
    people: People | None = None
    signing_keys: SigningKeys | None = None
    jwks_hosts: tuple[str, ...] = ()
    cards: CardStore | None = None
    cds_fhir_hosts: tuple[str, ...] = ()
    exports: ExportStore | None = None
    max_exports: int = 2
    subscriptions: SubscriptionStore | None = None
    figures: Callable[[], Iterable[Figures]] = tuple
    spokes: SpokeDesk | None = None
    scribe: "ScribeDesk | None" = None
    subscription_hosts: AllowedHosts = field(default_factory=lambda: AllowedHosts((), setting="subscription.hosts"))

    @property
    def fhir_base(self) -> str:
        """The FHIR base URL."""
        return f"{self.base_url}/fhir/R4"
