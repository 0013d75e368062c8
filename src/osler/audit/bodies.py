"""Records as the canonical JSON of their AuditEvents; what those of one deed share is written once.

A page of a search is one record for each patient on it, all on record before the page is answered.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from osler.audit.balp import (
    ID,
    common_part,
    detail_entity,
    moment,
    patient_entity,
    profile_of,
    query_entity,
    thing_entity,
)
from osler.audit.event import AuditRecord
from osler.audit.signing import canonical

_MARK: Final = "0-0"
"""Stands where an id will be."""
_REFERENCE: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-./_]{1,150})")
"""A reference that JSON writes as it is."""


def bodies(records: Sequence[AuditRecord], *, after: int, recorded_at: float, site: str, address: str) -> Iterator[str]:
    """Yield ``canonical(to_fhir(...))`` of each record.

    Parameters
    ----------
    records : sequence of AuditRecord
    after : int
        Number of the entry before the first.
    recorded_at, site, address
        As :func:`osler.audit.balp.to_fhir` takes them.
    """
    last: tuple[Any, ...] = ()
    deed: _Deed | None = None
    for number, record in enumerate(records, after + 1):
        shared = (record.event, record.agent, record.outcome, record.detail, record.recipient, record.purpose)
        if deed is None or shared != last:
            deed, last = _Deed(record, recorded_at, site, address), shared
        yield deed.body(record, number, profile_of(record, address))


class _Deed:
    """What the records of one deed share, as text."""

    def __init__(self, record: AuditRecord, recorded_at: float, site: str, address: str) -> None:
        common = common_part(record, recorded_at=recorded_at, site=site, address=address)
        self._before = canonical({name: common.pop(name) for name in ("action", "agent")})[:-1]
        self._behind = canonical(common)[1:]  # entity, id and meta stand between agent and outcome
        self._at = moment(recorded_at)
        self._metas: dict[str, str] = {}
        query = query_entity(record)
        self._searched = query is not None
        self._query = [canonical(query)] if query else []
        self._detail = [canonical(detail_entity(record))] if record.detail else []

    def body(self, record: AuditRecord, seq: int, profile: str) -> str:
        """Write a record of the deed."""
        patient = [] if record.patient is None else [_patient(record.patient)]
        things = [_thing(each, self._searched) for each in record.entities]
        entities = ",".join((*patient, *self._query, *things, *self._detail))
        entity = f'"entity":[{entities}],' if entities else ""
        if profile not in self._metas:
            self._metas[profile] = canonical({"lastUpdated": self._at} | ({"profile": [profile]} if profile else {}))
        return f'{self._before},{entity}"id":"{seq}","meta":{self._metas[profile]},{self._behind}'


def _patient(patient: str) -> str:
    if not ID.fullmatch(patient):
        return canonical(patient_entity(patient))
    before, behind = _around_patient()
    return f"{before}{patient}{behind}"


def _thing(entity: str, searched: bool) -> str:
    reference = _REFERENCE.fullmatch(entity)
    if not reference:
        return canonical(thing_entity(entity, found=searched))
    before, behind = _around_thing(reference[1], searched)
    return f"{before}{reference[2]}{behind}"


@functools.cache
def _around_patient() -> tuple[str, str]:
    return _around(patient_entity(_MARK))


@functools.lru_cache(maxsize=256)
def _around_thing(type_name: str, searched: bool) -> tuple[str, str]:
    return _around(thing_entity(f"{type_name}/{_MARK}", found=searched))


def _around(entity: dict[str, Any]) -> tuple[str, str]:
    before, behind = canonical(entity).split(_MARK)
    return before, behind
