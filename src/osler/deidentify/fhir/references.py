"""New names for resources, the same wherever they are named: ids, references, URLs.

A resource is known by the base URL of its server, its type and its id: two servers may give two patients one id. Its
new id is a pseudonym from the vault; its new URL stands under a base that does not exist.
"""

import re
import uuid
from collections.abc import Set
from typing import Final

from osler.deidentify.dates import secret_of
from osler.deidentify.dicom import Pseudonyms
from osler.domain.identifiers import Identity, PseudonymKind

NEUTRAL_BASE: Final = "https://deidentified.invalid/fhir"
_LITERAL: Final = re.compile(
    r"(?:(?P<base>https?://[^?#\s]+?)/)?(?P<type>[A-Za-z]+)/(?P<id>[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?"
    r"(?:#.*)?"
)
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")


class Names:
    """What resources are called after de-identification.

    Parameters
    ----------
    pseudonyms : Pseudonyms
    resource_types : set of str
        Names of the resource types there are.
    """

    def __init__(self, pseudonyms: Pseudonyms, resource_types: Set[str]) -> None:
        self._pseudonyms = pseudonyms
        self._types = resource_types

    def logical_id(self, base: str, resource_type: str, old: str) -> str:
        """Return the new id of a resource of a server; the base is empty for the server that sent the message."""
        return self._pseudonyms.uid(f"{base}/{resource_type}/{old}")

    def base_of(self, full_url: object, resource_type: str) -> str:
        """Return the base that the relative references of a bundle's entry count from (R4 2.36.4.1)."""
        match = _LITERAL.fullmatch(full_url) if isinstance(full_url, str) else None
        return match["base"] or "" if match and match["type"] == resource_type else ""

    def literal(self, url: str, base: str) -> str:
        """Return the new form of a reference, fullUrl or URL of a request; empty when it cannot be renamed.

        Parameters
        ----------
        url : str
            ``Type/id``, an absolute URL of that form, ``urn:uuid:``, ``urn:oid:``, or the name of a type.
        base : str
            What relative references count from.
        """
        if url.startswith("urn:"):
            return self.urn(url)
        match = _LITERAL.fullmatch(url)
        if match is None or match["type"] not in self._types:
            kind = url.partition("?")[0]
            return kind if kind in self._types else ""
        absolute = match["base"]
        renamed = f"{match['type']}/{self.logical_id(absolute or base, match['type'], match['id'])}"
        return f"{NEUTRAL_BASE}/{renamed}" if absolute else renamed

    def patient_key(self, url: str, base: str) -> str:
        """Return what tells the Patient that a reference names apart, empty when it names none."""
        match = _LITERAL.fullmatch(url)
        if match is None or match["type"] != "Patient":
            return ""
        return f"{match['base'] or base}/Patient/{match['id']}"

    def secret(self, patient: Identity | None) -> str:
        """Return what a patient's shift and surrogates are drawn from; it is in no output, and empty for nobody."""
        return self._pseudonyms.uid(secret_of(patient).value) if patient else ""

    def urn(self, value: str) -> str:
        """Return the new form of a UUID or OID as a URN; empty for another URN."""
        scheme, _, rest = value.rpartition(":")
        if scheme == "urn:uuid":
            return f"urn:uuid:{self._uuid(rest.lower())}"
        if scheme == "urn:oid" and _OID.fullmatch(rest):
            return f"urn:oid:{self._pseudonyms.uid(rest)}"
        return ""

    def uid(self, value: str) -> str:
        """Return what stands for a DICOM UID, or any other name that must stay one."""
        return self._pseudonyms.uid(value)

    def number(self, identity: Identity) -> str:
        """Return what stands for the number of a patient or an order, the same as in DICOM of the same issuer."""
        if identity.kind is PseudonymKind.PATIENT:
            return self._pseudonyms.patient(identity.value, identity.issuer)
        return self._pseudonyms.accession(identity.value, identity.issuer)

    def system(self, uri: str) -> str:
        """Return what stands for the URI of a site's own code system or of who gives out an identifier."""
        return f"urn:oid:{self._pseudonyms.uid(f'system {uri}')}"

    def _uuid(self, old: str) -> uuid.UUID:
        return uuid.UUID(int=int(self._pseudonyms.uid(f"uuid {old}").removeprefix("2.25.")))
