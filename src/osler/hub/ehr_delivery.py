"""Bringing a signed note to an EHR's FHIR server, as the SMART backend client that we are there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit

from osler.audit import HUB
from osler.config import Config
from osler.domain.states import DeliveryState
from osler.ehr_settings import Ehr
from osler.errors import AccessDenied, DeliveryRefused, InputRejected
from osler.hub.ehr_connection import connected
from osler.ingest.ehr.wire import Patience
from osler.publish.hosts import AllowedHosts
from osler.publish.note.ehr import Outgoing, deliver, state_of
from osler.publish.note.ehr_http import EhrHttp
from osler.publish.note.ehr_people import places_at
from osler.scribe.publishing import Published
from osler.stores import Stores

_WRITTEN: Final = (
    "AllergyIntolerance",
    "Composition",
    "Condition",
    "Device",
    "DocumentReference",
    "Encounter",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Provenance",
    "ServiceRequest",
)
SCOPES: Final = " ".join(("system/Patient.rs", "system/Practitioner.rs", *(f"system/{kind}.crus" for kind in _WRITTEN)))
"""What an EHR must allow for notes, unless its settings name another scope."""

_ONCE: Final = Patience(attempts=1)
"""The delivery is put off as a whole, and meanwhile holds up no other."""


class EhrNotes:
    """One EHR of the settings, as notes go there.

    Parameters
    ----------
    config : Config
    ehr : Ehr
    stores : Stores
    """

    def __init__(self, config: Config, ehr: Ehr, stores: Stores) -> None:
        self._config = config
        self._ehr = replace(ehr, scope=ehr.scope or SCOPES)
        self._stores = stores

    def bring(
        self, note: Published, outgoing: tuple[Outgoing, ...], places: Mapping[str, str]
    ) -> tuple[DeliveryState, str, dict[str, str]]:
        """Return how the whole stands, the first reason why, and where each resource is there.

        Raises
        ------
        PeerUnavailable
            If the EHR does not answer; the same may succeed later.
        DeliveryRefused
            If it does not let us in, or does not know the patient.
        """
        host = urlsplit(self._ehr.fhir_base).hostname or ""
        hosts = AllowedHosts((host, *self._ehr.hosts), setting="hosts of the ehr")
        try:
            with connected(self._config, self._ehr, self._stores, HUB, patience=_ONCE) as connection:
                server = EhrHttp(self._ehr.fhir_base, hosts, connection.access)
                known = {ours: there for ours, there in places.items() if "/" in there}
                known |= places_at(server, note.note, self._ehr.issuer_of)
                found = deliver(outgoing, server, known)
        except (AccessDenied, InputRejected) as error:
            raise DeliveryRefused(str(error)) from None
        reason = next((item.reason for item in found if item.reason), "")
        return state_of(found), reason, {item.key: item.reference or item.state.value for item in found}
