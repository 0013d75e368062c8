"""What the steps work on, in one place."""

from dataclasses import dataclass

from osler.audit import AuditLog
from osler.queue.port import Queue
from osler.storage import Database
from osler.storage.blobs import Blobs
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.vault import KeyRing, Vault


@dataclass(frozen=True, slots=True)
class Stores:
    """What the steps work on. ``identified`` seals what it keeps; ``deidentified`` need not."""

    database: Database
    keyring: KeyRing
    identified: Blobs
    deidentified: Blobs
    vault: Vault
    audit: AuditLog
    queue: Queue
    resources: ResourceStore
    search: ResourceSearch


@dataclass(frozen=True, slots=True)
class WorkerStores:
    """What a worker on any host works on: the de-identified zone, and no key."""

    database: Database
    deidentified: Blobs
    queue: Queue
