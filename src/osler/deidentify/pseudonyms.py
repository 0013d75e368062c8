"""Pseudonyms from the vault, for one study at a time."""

from collections.abc import Sequence

from osler.domain.identifiers import Identity, PseudonymKind
from osler.vault import Vault


class VaultPseudonyms:
    """What stands for the identifiers of one study; asks the vault once for each.

    Parameters
    ----------
    vault : Vault
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._known: dict[Identity, str] = {}

    def prefetch(self, identities: Sequence[Identity]) -> None:
        """Get or make the pseudonyms of many identities in one go."""
        missing = [i for i in dict.fromkeys(identities) if i not in self._known]
        if missing:
            self._known.update(zip(missing, self._vault.pseudonyms(missing), strict=True))

    def uid(self, value: str) -> str:
        """Return the UID that stands for a UID."""
        return self._one(Identity(PseudonymKind.UID, value))

    def patient(self, patient_id: str, issuer: str) -> str:
        """Return what stands for a Patient ID of an issuer."""
        return self._one(Identity(PseudonymKind.PATIENT, patient_id, issuer))

    def accession(self, value: str, issuer: str) -> str:
        """Return what stands for an Accession Number of an issuer."""
        return self._one(Identity(PseudonymKind.ACCESSION, value, issuer))

    def _one(self, identity: Identity) -> str:
        self.prefetch((identity,))
        return self._known[identity]
