"""One version of a resource as it is kept, and how its sealed text is opened."""

from dataclasses import dataclass

from sqlalchemy import RowMapping

from osler.domain.reach import NO_PATIENT, Part, Reach
from osler.standards import fhir
from osler.standards.fhir_index import index_of
from osler.storage.blobs import Sealer


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of a resource as it is kept.

    Parameters
    ----------
    type, id : str
    version : int
        From 1.
    updated_at : float
        Seconds since the epoch, UTC, to the millisecond.
    patient : str or None
        Logical id (a pseudonym) of the Patient that it is about.
    text : str
        JSON, with ``meta.versionId`` and ``meta.lastUpdated``; of a version that says that the resource was deleted,
        the text of the version before.
    method : {"POST", "PUT", "PATCH", "DELETE"}
        How this version came to be.
    restricted : bool
        Whether ``meta.security`` marks it as restricted or very restricted.
    """

    type: str
    id: str
    version: int
    updated_at: float
    patient: str | None
    text: str
    method: str = "PUT"
    restricted: bool = False

    @property
    def deleted(self) -> bool:
        """Whether this version says that the resource was deleted."""
        return self.method == "DELETE"

    @property
    def reference(self) -> str:
        """Relative reference, ``Type/id``."""
        return f"{self.type}/{self.id}"


def open_stored(row: RowMapping, sealer: Sealer) -> Stored:
    """Open one row of the resources or of their history.

    Raises
    ------
    IntegrityError
        If the text is not what was written there.
    """
    text = sealer.open(row["sealed"], binding(row["type"], row["id"], row["version"])).decode()
    return Stored(
        row["type"],
        row["id"],
        row["version"],
        row["updated_at"],
        row["patient"],
        text,
        row["method"],
        row["restricted"],
    )


def within(reach: Reach, stored: Stored) -> bool:
    """Tell whether a version lies within reach."""
    parts = [part for part in reach if _holds(part, stored)]
    if not parts or not all(part.tokens for part in parts):
        return bool(parts)
    terms = {(term.parameter, term.parts) for term in index_of(fhir.loads(stored.text)).terms}
    return any(terms.issuperset(part.tokens) for part in parts)


def _holds(part: Part, stored: Stored) -> bool:
    """Tell whether a version lies within a part, but for what it must be indexed under."""
    return part.patient in (None, stored.patient or NO_PATIENT) and (part.restricted or not stored.restricted)


def binding(type_name: str, logical_id: str, version: int) -> bytes:
    """Return the place that a sealed text is bound to: in another's place it does not open."""
    return f"{type_name}/{logical_id}/{version}".encode()
