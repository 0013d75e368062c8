"""The index of the resources: keyed terms, intervals and references by which they are found.

A search never opens what it does not return: terms are compared as HMACs, dates and numbers as intervals, references
to resources of ours as logical ids, which are pseudonyms. Every row holds the date of its resource in its key, so that
a page sorted by date is read in order.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select, tuple_

from osler.standards.fhir_dates import NO_DATE
from osler.standards.fhir_index import CONTEXT, Indexed, context_of, index_of, is_local, patient_of
from osler.standards.fhir_json import Resource
from osler.standards.fhir_search import SEARCHABLE, table_text
from osler.storage.database import insert_rows
from osler.storage.tables import resource as resources
from osler.storage.tables import resource_reference as references
from osler.storage.tables import resource_span as spans
from osler.storage.tables import resource_token as tokens

TERM_BYTES: Final = 16
_RULES: Final = "2"  # goes up with each change of what is put into the index, so that it is built anew
_CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_KEYS: Final = {
    tokens: ("type", "parameter", "value", "date_at", "id"),
    spans: ("type", "parameter", "value", "date_at", "id", "low", "high"),
    references: ("type", "parameter", "target", "date_at", "id"),
}
BELONGING: Final = {"Provenance": "target", "Binary": CONTEXT}
"""By which links a resource belongs where others do."""
_REMOVE: Final = {
    table: delete(table).where(*(table.c[name] == bindparam(f"of_{name}") for name in key))
    for table, key in _KEYS.items()
}


class ResourceIndex:
    """Puts resources into the index and takes them out.

    Parameters
    ----------
    index : callable
        ``index(purpose, *parts)``: a keyed hash of 32 bytes.
    """

    def __init__(self, index: Callable[..., bytes]) -> None:
        self._index = index

    def add(self, connection: Connection, stamped: Resource) -> dict[str, Any]:
        """Index the current version of a resource.

        Parameters
        ----------
        connection : Connection
            Inside ``Database.write``.
        stamped : dict
            With ``meta.versionId`` and ``meta.lastUpdated``; not in the index now.

        Returns
        -------
        dict
            What the index asks of the resource's own row: ``patient``, ``date_at``, ``restricted`` and ``present``.
        """
        own, others = self.rows(connection, stamped)
        for table, rows in others.items():
            insert_rows(connection, table, rows)
        return own

    def rows(self, connection: Connection, stamped: Resource) -> tuple[dict[str, Any], dict[Any, list[dict[str, Any]]]]:
        """Return what :meth:`add` does, and the rows of each table of the index that it puts in."""
        indexed = index_of(stamped)
        own = {
            **belonging(connection, stamped, indexed),
            "date_at": _date_at(stamped, indexed),
            "present": indexed.present,
        }
        return own, self._rows(stamped, indexed)

    def remove(self, connection: Connection, stamped: Resource) -> None:
        """Take a version out of the index: its own text says where it stands there."""
        for table, rows in self._rows(stamped, index_of(stamped)).items():
            if rows:
                connection.execute(_REMOVE[table], [{f"of_{name}": row[name] for name in row} for row in rows])

    def term(self, parameter: str, parts: tuple[str, ...]) -> bytes:
        """Return the keyed index of a term; empty for the unit of what has none."""
        return self._index("resource", parameter, *parts)[:TERM_BYTES] if parts else b""

    def target(self, reference: str) -> str:
        """Return what stands in the index for a reference: in clear when it is to a resource of ours."""
        return reference if is_local(reference) else "#" + self._index("resource", "reference", reference).hex()

    def _rows(self, stamped: Resource, indexed: Indexed) -> dict[Any, list[dict[str, Any]]]:
        place = {"type": stamped["resourceType"], "date_at": _date_at(stamped, indexed), "id": stamped["id"]}
        return {
            tokens: [
                place | {"parameter": term.parameter, "value": self.term(term.parameter, term.parts)}
                for term in indexed.terms
            ],
            spans: [
                place
                | {
                    "parameter": span.parameter,
                    "value": self.term(span.parameter, span.unit),
                    "low": span.low,
                    "high": span.high,
                }
                for span in indexed.spans
            ],
            references: [
                place | {"parameter": link.parameter, "target": self.target(link.target)} for link in indexed.links
            ],
        }


def index_version() -> str:
    """Return what tells this index from one that was built by other rules."""
    return f"{_RULES}-{hashlib.sha256(table_text().encode()).hexdigest()[:16]}"


def belonging(connection: Connection, stamped: Resource, indexed: Indexed | None = None) -> dict[str, Any]:
    """Return ``patient`` and ``restricted`` of a resource's own row.

    A Provenance belongs where its targets do, and a Binary where what decides who may read it does; when that cannot
    be looked at, the Binary is restricted.
    """
    patient, restricted = patient_of(stamped), _restricted(stamped)
    if (parameter := BELONGING.get(stamped["resourceType"])) is not None:
        links = (indexed or index_of(stamped)).links
        targets = sorted({link.target for link in links if link.parameter == parameter and is_local(link.target)})
        keys = [tuple(target.split("/")) for target in targets]
        known = select(resources.c.patient, resources.c.restricted)
        found = connection.execute(known.where(tuple_(resources.c.type, resources.c.id).in_(keys))).all()
        patients = {row.patient for row in found} | {key[1] for key in keys if key[0] == "Patient"}
        patient = patients.pop() if len(patients) == 1 else None
        restricted = restricted or any(row.restricted for row in found)
        if parameter == CONTEXT and context_of(stamped):
            restricted = restricted or (not patients and not found)
    return {"patient": patient, "restricted": restricted}


def _date_at(stamped: Resource, indexed: Indexed) -> float:
    main = SEARCHABLE[stamped["resourceType"]].date
    return next((span.low for span in indexed.spans if span.parameter == main), NO_DATE)


def _restricted(resource: Resource) -> bool:
    """Tell whether ``meta.security`` marks a resource as restricted or very restricted."""
    return any(
        label.get("code") in ("R", "V") and label.get("system", _CONFIDENTIALITY) == _CONFIDENTIALITY
        for label in resource.get("meta", {}).get("security", [])
    )
