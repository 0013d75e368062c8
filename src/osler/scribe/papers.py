"""What is made of an encounter, version by version: JSON, sealed as everything identified is."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Connection

from osler.errors import NotFound
from osler.scribe.own import OwnBlobs
from osler.storage import encounters
from osler.storage.blobs import Blobs

Json = dict[str, Any]


class Paper(StrEnum):
    """The kinds."""

    TRANSCRIPT = "transcript"
    """As heard or handed in; identified."""
    DEIDENTIFIED = "deidentified"
    """The transcript with placeholders, and the token under which the vault keeps what they stand for."""
    DRAFT = "draft"
    """As the writer made it, with what the gate found; de-identified."""
    NOTE = "note"
    """Under review, with identities; each edit is a version."""
    SIGNED = "signed"
    """As a person signed it; each amendment is a version."""


_NOT_YET: Final = {
    Paper.TRANSCRIPT: "there is no transcript yet",
    Paper.DEIDENTIFIED: "there is no transcript yet",
    Paper.DRAFT: "there is no draft yet",
    Paper.NOTE: "there is no draft yet",
    Paper.SIGNED: "nobody has signed the note yet",
}


@dataclass(frozen=True, slots=True)
class Papers:
    """Keeps and gives them.

    Parameters
    ----------
    blobs : Blobs
        Of the identified zone.
    """

    blobs: Blobs

    def stage(self, content: Json | str) -> str:
        """Make a document durable and return its reference, before the transaction that files it."""
        text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        return OwnBlobs(self.blobs).put(text.encode())

    def discard(self, *refs: str) -> None:
        """Delete what was staged and never filed."""
        for ref in refs:
            OwnBlobs(self.blobs).delete(ref)

    def text(self, connection: Connection, encounter_id: str, kind: Paper, version: int | None = None) -> str:
        """Return a version of a document as it was written, the last when none is named.

        Raises
        ------
        NotFound
            If there is none.
        """
        kept = encounters.document(connection, encounter_id, kind.value, version)
        if kept is None:
            raise NotFound(_NOT_YET[kind])
        return OwnBlobs(self.blobs).get(kept.blob).decode()

    def load(self, connection: Connection, encounter_id: str, kind: Paper, version: int | None = None) -> Json:
        """Return the same, parsed."""
        content: Json = json.loads(self.text(connection, encounter_id, kind, version))
        return content
