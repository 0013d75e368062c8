"""Pseudonyms that are forgotten: for work that needs no way back."""

import secrets
import uuid
from collections.abc import Sequence

from osler.domain.identifiers import Identity, PseudonymKind


class EphemeralPseudonyms:
    """Random pseudonyms that live as long as this object; nothing is written down."""

    def __init__(self) -> None:
        self._known: dict[Identity, str] = {}

    def prefetch(self, identities: Sequence[Identity]) -> None:
        """Need nothing."""

    def uid(self, value: str) -> str:
        """Return the UID that stands for a UID."""
        return self._known.setdefault(Identity(PseudonymKind.UID, value), f"2.25.{uuid.uuid4().int}")

    def patient(self, patient_id: str, issuer: str) -> str:
        """Return what stands for a Patient ID of an issuer."""
        return self._short(Identity(PseudonymKind.PATIENT, patient_id, issuer))

    def accession(self, value: str, issuer: str) -> str:
        """Return what stands for an Accession Number of an issuer."""
        return self._short(Identity(PseudonymKind.ACCESSION, value, issuer))

    def _short(self, identity: Identity) -> str:
        return self._known.setdefault(identity, f"TMP{secrets.token_hex(6).upper()}")
