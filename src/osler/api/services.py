"""What the HTTP side works with; the hub hands it over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection

from osler.api.access import ClientStore
from osler.api.tokens import TokenStore
from osler.audit import AuditRecord
from osler.domain.events import Received
from osler.metrics import Metrics
from osler.storage.database import Database
from osler.storage.resources import ResourceStore


class Audit(Protocol):
    """Where every access is written down."""

    def append(self, connection: Connection, *records: AuditRecord) -> None:
        """Add entries within the caller's transaction."""

    def record(self, *records: AuditRecord) -> None:
        """Add entries; durable when this returns."""


@dataclass(frozen=True, slots=True)
class Services:
    """The collaborators of the HTTP side.

    Parameters
    ----------
    base_url : str
        Address under which others reach us, without a slash at the end.
    database, audit, resources, clients, tokens, metrics
        The stores.
    accept : callable
        Files one received instance; raises an OslerError when it cannot.
    checks : mapping of str to callable
        What must be well for the hub to be ready; each raises an OslerError when it is not.
    max_body_bytes : int
        Largest body of a STOW request.
    """

    base_url: str
    database: Database
    audit: Audit
    resources: ResourceStore
    clients: ClientStore
    tokens: TokenStore
    accept: Callable[[Received], None]
    metrics: Metrics
    checks: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    max_body_bytes: int = 1024 * 1_000_000

    @property
    def fhir_base(self) -> str:
        """The FHIR base URL."""
        return f"{self.base_url}/fhir/R4"
