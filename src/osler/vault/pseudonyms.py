"""The vault: one random pseudonym for each real identity, and the way back, both on record.

A pseudonym is random, never computed from the identity (45 CFR 164.514(c)). The identity is found by a keyed index and
kept sealed; the seal binds kind, index and pseudonym, so that exchanging any of them between rows is noticed.
"""

import base64
import json
import secrets
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from osler.audit import HUB, Agent, AuditLog, AuditRecord
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import IntegrityError, Malformed, NotFound
from osler.storage.database import Database, insert_ignore
from osler.storage.tables import pseudonym as table
from osler.vault.keys import KeyRing

_INDEX: Final = "pseudonym"
_CHUNK: Final = 500
_PREFIX: Final[Mapping[PseudonymKind, str]] = {PseudonymKind.PATIENT: "OSL-", PseudonymKind.ACCESSION: "OSA-"}


@dataclass(frozen=True, slots=True, repr=False)
class _Wanted:
    """An identity, normalised, with its index and what stands for it unless there is one already."""

    identity: Identity
    index: bytes
    proposed: str
    sealed: bytes


class Vault:
    """Pseudonyms and identities.

    Safe to use from many threads and processes.

    Parameters
    ----------
    database : Database
    keyring : KeyRing
    audit : AuditLog
    cache_size : int
        Pseudonyms that this process remembers, by keyed index.
    """

    def __init__(self, database: Database, keyring: KeyRing, audit: AuditLog, *, cache_size: int = 65536) -> None:
        self._database = database
        self._keyring = keyring
        self._sealer = keyring.sealer("vault")
        self._audit = audit
        self._cache = _Cache(cache_size)

    def lookup(self, identity: Identity) -> bytes:
        """Return the keyed index of an identity, 32 bytes; nothing is read or written."""
        return self._index(normalised(identity))

    def pseudonyms(self, identities: Sequence[Identity]) -> list[str]:
        """Return what stands for each identity, making what is not there yet.

        Parameters
        ----------
        identities : sequence of Identity

        Returns
        -------
        list of str
            In the same order. A patient gives ``OSL-`` and an accession ``OSA-`` with 12 characters (60 random bits),
            a UID a UID under ``2.25`` (PS3.5 B.2).

        Raises
        ------
        Malformed
            If an identity is empty: two unknown patients must not become one.
        IntegrityError
            If a row of the vault was changed.
        StorageBusy, StorageFull
            If nothing can be written, the audit entry included.
        """
        exact = [normalised(identity) for identity in identities]
        if not all(identity.value for identity in exact):
            raise Malformed("an empty identifier has no pseudonym")
        indices = [self._index(identity) for identity in exact]
        known = self._cache.many(indices)
        missing = {i: identity for i, identity in zip(indices, exact, strict=True) if i not in known}
        if missing:
            found = self._get_or_make(missing)
            self._cache.keep(found)
            known |= found
        return [known[index] for index in indices]

    def reveal(self, pseudonym: str, *, agent: Agent, reason: str) -> Identity:
        """Return the identity behind a pseudonym; the audit entry is durable before the answer.

        Raises
        ------
        NotFound
            If nothing of that name is in the vault.
        IntegrityError
            If the row was changed.
        StorageBusy, StorageFull
            If the audit entry cannot be written.
        """
        return self.reverse([pseudonym], agent=agent, reason=reason)[0]

    def reverse(self, pseudonyms: Sequence[str], *, agent: Agent, reason: str) -> list[Identity]:
        """Return the identities behind pseudonyms, in the same order; as ``reveal``, for many at once.

        One audit entry for each patient among them, or one when there is none.
        """

        def change(connection: Connection) -> dict[str, Row[Any]]:
            rows: dict[str, Row[Any]] = {}
            for chunk in _chunks(list(dict.fromkeys(pseudonyms))):
                found = connection.execute(select(table).where(table.c.pseudonym.in_(chunk)))
                rows |= {row.pseudonym: row for row in found}
            patients = sorted(row.pseudonym for row in rows.values() if row.kind == PseudonymKind.PATIENT)
            outcome = 0 if all(p in rows for p in pseudonyms) else 4
            detail: dict[str, str | int | float] = {"reason": reason, "asked": len(pseudonyms), "found": len(rows)}
            self._audit.append(
                connection,
                *(
                    AuditRecord("identity-revealed", agent=agent, outcome=outcome, patient=patient, detail=detail)
                    for patient in patients or [None]
                ),
            )
            return rows

        rows = self._database.write(change)
        if not all(p in rows for p in pseudonyms):
            raise NotFound("there is no such pseudonym in the vault")
        return [self._opened(rows[p]) for p in pseudonyms]

    def _get_or_make(self, missing: Mapping[bytes, Identity]) -> dict[bytes, str]:
        wanted = [self._wanted(index, identity) for index, identity in missing.items()]

        def change(connection: Connection) -> list[Row[Any]]:
            rows = _rows(connection, wanted)
            there = {(row.kind, bytes(row.lookup)) for row in rows}
            new = [w for w in wanted if (w.identity.kind.value, w.index) not in there]
            created = insert_ignore(connection, table, [_values(w) for w in new])
            rows += _rows(connection, new)
            self._audit.append(connection, _looked_up(rows, created))
            return rows

        found: dict[bytes, str] = {}
        for row in self._database.write(change):
            if self._opened(row) != missing[bytes(row.lookup)]:
                raise IntegrityError("a row of the vault holds another identity than its index says")
            found[bytes(row.lookup)] = row.pseudonym
        if len(found) < len(missing):  # a random pseudonym was taken: once in 10**9 vaults of a million patients
            return found | self._get_or_make({i: identity for i, identity in missing.items() if i not in found})
        return found

    def _wanted(self, index: bytes, identity: Identity) -> _Wanted:
        proposed = _random(identity.kind)
        content = json.dumps([identity.issuer, identity.value]).encode()
        return _Wanted(identity, index, proposed, self._sealer.seal(content, _aad(identity.kind, index, proposed)))

    def _opened(self, row: Row[Any]) -> Identity:
        content = self._sealer.open(bytes(row.sealed), _aad(row.kind, bytes(row.lookup), row.pseudonym))
        issuer, value = json.loads(content)
        return Identity(PseudonymKind(row.kind), value, issuer)

    def _index(self, identity: Identity) -> bytes:
        return self._keyring.index(_INDEX, identity.kind.value, identity.issuer, identity.value)


def normalised(identity: Identity) -> Identity:
    """Take away the padding of the wire; case counts. A UID has no issuer.

    References
    ----------
    DICOM PS3.5 6.2 (LO, SH: leading and trailing spaces do not count; UI: a trailing NULL pads)
    """
    value, issuer = identity.value.strip(" \0"), identity.issuer.strip(" \0")
    if identity.kind is PseudonymKind.UID:
        issuer = ""
    if (value, issuer) == (identity.value, identity.issuer):
        return identity
    return Identity(identity.kind, value, issuer)


class _Cache:
    """The pseudonyms that were asked for last, by keyed index."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self._lock = threading.Lock()

    def many(self, indices: Iterable[bytes]) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        with self._lock:
            for index in indices:
                if index in self._kept:
                    self._kept.move_to_end(index)
                    found[index] = self._kept[index]
        return found

    def keep(self, found: Mapping[bytes, str]) -> None:
        with self._lock:
            self._kept.update(found)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)


def _random(kind: PseudonymKind) -> str:
    if kind is PseudonymKind.UID:
        return f"2.25.{uuid.UUID(bytes=secrets.token_bytes(16), version=4).int}"
    return _PREFIX[kind] + base64.b32encode(secrets.token_bytes(10)).decode()[:12]


def _aad(kind: str, index: bytes, pseudonym: str) -> bytes:
    return b"\0".join((kind.encode(), index, pseudonym.encode()))


def _values(wanted: _Wanted) -> dict[str, Any]:
    return {
        "kind": wanted.identity.kind.value,
        "lookup": wanted.index,
        "pseudonym": wanted.proposed,
        "sealed": wanted.sealed,
        "created_at": time.time(),
    }


def _rows(connection: Connection, wanted: Sequence[_Wanted]) -> list[Row[Any]]:
    rows: list[Row[Any]] = []
    for kind in PseudonymKind:
        for chunk in _chunks([w.index for w in wanted if w.identity.kind is kind]):
            rows += connection.execute(select(table).where(table.c.kind == kind.value, table.c.lookup.in_(chunk)))
    return rows


def _looked_up(rows: Sequence[Row[Any]], created: int) -> AuditRecord:
    patients = {row.pseudonym for row in rows if row.kind == PseudonymKind.PATIENT}
    return AuditRecord(
        "pseudonym-created" if created else "pseudonym-looked-up",
        agent=HUB,
        patient=patients.pop() if len(patients) == 1 else None,
        detail={"count": len(rows), "created": created},
    )


def _chunks(items: list[Any]) -> Iterable[list[Any]]:
    return (items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK))
