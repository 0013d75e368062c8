"""The states of a study on its way, as types: each step takes one and makes the next.

``Received`` is made by ``ingest`` alone, ``Deidentified`` by ``deidentify`` alone, and the queue takes nothing else.
Skipping a step is a type error.
"""

from dataclasses import dataclass, field

from osler.domain.findings import Inference
from osler.domain.identifiers import InstanceIdentity
from osler.domain.states import AgeBand, Priority


@dataclass(frozen=True, slots=True, repr=False)
class Received:
    """One DICOM instance as a peer sent it, identified.

    Parameters
    ----------
    identity : InstanceIdentity
    content : bytes
        A DICOM Part 10 file: preamble, file meta, dataset as received.
    source : str
        ``dimse:<calling AE title>``, ``stow:<client id>`` or ``folder``.
    received_at : float
        Seconds since the epoch, UTC.
    """

    identity: InstanceIdentity
    content: bytes
    source: str
    received_at: float

    def __repr__(self) -> str:
        return f"Received({len(self.content)} bytes from {self.source})"


@dataclass(frozen=True, slots=True)
class DeidentifiedInstance:
    """One de-identified instance in the blob store, under pseudonyms."""

    sop_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    blob: str


@dataclass(frozen=True, slots=True)
class Deidentified:
    """A study that carries no identity. Only ``osler.deidentify`` makes one.

    ``trace`` is the W3C ``traceparent`` of its way through the hub, or empty.
    """

    study_instance_uid: str
    revision: int
    instances: tuple[DeidentifiedInstance, ...]
    age_band: AgeBand
    priority: Priority
    trace: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Job:
    """One model's work on one de-identified study, claimed with a lease."""

    id: str
    model: str
    study: Deidentified
    attempts: int
    lease_owner: str
    lease_until: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """An inference that is in the ledger, with what is to be delivered."""

    id: str
    inference: Inference
    revision: int
    recorded_at: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one destination answered.

    ``reference`` names what was made there (a FHIR reference, a SOP Instance UID, an alert id); ``warning`` is the
    peer's word when it took the result with a reservation (DIMSE status B000 and its like).
    """

    reference: str
    warning: str | None = None
