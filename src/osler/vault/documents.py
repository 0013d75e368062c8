"""What stood behind the placeholders of a text, sealed under a random token that the text carries."""

import base64
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select

from osler.audit import Agent, AuditLog, AuditRecord
from osler.errors import NotFound
from osler.storage.database import Database
from osler.storage.tables import document as table
from osler.vault.keys import KeyRing

PREFIX: Final = "OSD-"
"""How each token begins; 20 characters of base 32 follow (100 random bits)."""

Originals = Mapping[str, Sequence[str]]
"""What stood in the place of each placeholder, in the order of the text: one person may be written in several ways."""


class Documents:
    """Originals of reversible texts.

    Parameters
    ----------
    database : Database
    keyring : KeyRing
    audit : AuditLog
    """

    def __init__(self, database: Database, keyring: KeyRing, audit: AuditLog) -> None:
        self._database = database
        self._sealer = keyring.sealer("vault")
        self._audit = audit

    def keep(self, originals: Originals, *, agent: Agent) -> str:
        """Keep what stands behind the placeholders of one text, durably and on record, and return its token."""
        token = PREFIX + base64.b32encode(secrets.token_bytes(13)).decode()[:20]
        content = json.dumps({name: list(values) for name, values in originals.items()}).encode()
        row = {"token": token, "sealed": self._sealer.seal(content, _aad(token)), "created_at": time.time()}
        count = sum(map(len, originals.values()))

        def change(connection: Connection) -> None:
            connection.execute(table.insert(), row)
            self._audit.append(connection, _record("originals-kept", agent, token, count=count))

        self._database.write(change)
        return token

    def reveal(self, token: str, placeholders: Sequence[str], *, agent: Agent, reason: str) -> dict[str, list[str]]:
        """Return what stands behind some placeholders of a text; the audit entry is durable before the answer.

        Parameters
        ----------
        token : str
            Of the text.
        placeholders : sequence of str
            Those that are asked for; those that the text never had are not in the answer.
        agent : Agent
        reason : str

        Raises
        ------
        NotFound
            If there is no such text. That is on record too.
        IntegrityError
            If the row was changed.
        """

        def change(connection: Connection) -> bytes | None:
            sealed = connection.execute(select(table.c.sealed).where(table.c.token == token)).scalar_one_or_none()
            detail: dict[str, str | int] = {"reason": reason, "placeholders": len(placeholders)}
            outcome = 0 if sealed is not None else 4
            self._audit.append(connection, _record("originals-revealed", agent, token, outcome=outcome, **detail))
            return sealed

        sealed = self._database.write(change)
        if sealed is None:
            raise NotFound("the vault holds no text of that token")
        originals: dict[str, list[str]] = json.loads(self._sealer.open(bytes(sealed), _aad(token)))
        return {name: originals[name] for name in dict.fromkeys(placeholders) if name in originals}


def _aad(token: str) -> bytes:
    return b"document\0" + token.encode()


def _record(event: str, agent: Agent, token: str, *, outcome: int = 0, **detail: str | int) -> AuditRecord:
    return AuditRecord(event, agent=agent, outcome=outcome, entities=(f"document:{token}",), detail=detail)
