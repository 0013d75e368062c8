"""Which pseudonyms a message needs, so that the vault is asked once for all of them."""

from collections.abc import Sequence

from osler.domain.identifiers import Identity, PseudonymKind


class CollectedIdentities:
    """Takes the place of pseudonyms in a first pass that is thrown away; keeps what was asked for."""

    def __init__(self) -> None:
        self.identities: list[Identity] = []

    def prefetch(self, identities: Sequence[Identity]) -> None:
        """Need nothing."""

    def uid(self, value: str) -> str:
        """Note a UID."""
        self.identities.append(Identity(PseudonymKind.UID, value))
        return "2.25.0"

    def patient(self, patient_id: str, issuer: str) -> str:
        """Note a Patient ID."""
        self.identities.append(Identity(PseudonymKind.PATIENT, patient_id, issuer))
        return "0"

    def accession(self, value: str, issuer: str) -> str:
        """Note an Accession Number."""
        self.identities.append(Identity(PseudonymKind.ACCESSION, value, issuer))
        return "0"
