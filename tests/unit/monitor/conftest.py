"""Stores on a database of their own."""

from pathlib import Path

import pytest

from osler.audit import AuditLog
from osler.queue.embedded import EmbeddedQueue
from osler.storage import Database
from osler.storage.blobs import FolderBlobs
from osler.storage.resource_search import ResourceSearch
from osler.storage.resources import ResourceStore
from osler.stores import Stores
from osler.vault import KeyRing, Vault


@pytest.fixture
def stores(database: Database, keyring: KeyRing, audit_log: AuditLog, vault: Vault, tmp_path: Path) -> Stores:
    return Stores(
        database=database,
        keyring=keyring,
        identified=FolderBlobs(tmp_path / "identified", sealer=keyring.sealer("blob")),
        deidentified=FolderBlobs(tmp_path / "deidentified"),
        vault=vault,
        audit=audit_log,
        queue=EmbeddedQueue(database),
        resources=ResourceStore(database, sealer=keyring.sealer("record"), index=keyring.index),
        search=ResourceSearch(database, sealer=keyring.sealer("record"), index=keyring.index),
    )
