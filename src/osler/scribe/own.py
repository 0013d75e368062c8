"""Blobs of one owner each: the same content twice is two blobs, so that one can be deleted while the other is used."""

import secrets
from dataclasses import dataclass
from typing import Final

from osler.storage.blobs import Blobs

_MARK: Final = 16


@dataclass(frozen=True, slots=True)
class OwnBlobs:
    """Keeps content under references that nobody else has; each begins with a random mark.

    Parameters
    ----------
    blobs : Blobs
        Of the identified zone.
    """

    blobs: Blobs

    def put(self, content: bytes) -> str:
        """Keep content, durably, and return its reference."""
        return self.blobs.put(secrets.token_bytes(_MARK) + content)

    def get(self, ref: str) -> bytes:
        """Return content.

        Raises
        ------
        NotFound
            If it has been deleted.
        """
        return self.blobs.get(ref)[_MARK:]

    def delete(self, ref: str) -> None:
        """Delete content; what is not there is no error."""
        self.blobs.delete(ref)
