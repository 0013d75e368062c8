"""Copies of a data folder that can be put back: ``osler backup`` and ``osler restore``.

A backup is a folder or one tar file::

    osler.toml              the configuration, when the data folder has one
    checkpoints.jsonl       signed checkpoints of the audit log, as they were before the database was copied
    database.sqlite3        or database.pgdump: one snapshot
    models/...              model artefacts of the data folder
    blobs/ZONE/ab/REF       blobs as they are kept: what is identified is sealed
    manifest.jsonl          what it is, then name, size and SHA-256 of each file, then how many there are
    manifest.sig            Ed25519 by the key that signs the audit log

Blobs are copied after the database: whatever the snapshot names was kept before it. Keys are not in it.
"""

from osler.hub.backup.restoring import Restored, check, restore
from osler.hub.backup.taking import Taken, back_up

__all__ = ["Restored", "Taken", "back_up", "check", "restore"]
