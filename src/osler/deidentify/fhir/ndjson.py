"""NDJSON (FHIR bulk data): one resource a line; a patient's names are looked for in all that refers to him."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from osler.deidentify.fhir import FhirDeidentifier
from osler.errors import DeidentificationRefused, InputRejected
from osler.standards.fhir import Resource, loads

BATCH_LINES: Final = 200
"""Lines for which the vault is asked at a time."""

_OF_PERSON: Final = re.compile(r'"((?:Patient|Practitioner|RelatedPerson)/[A-Za-z0-9.-]{1,64})"')


@dataclass(frozen=True, slots=True)
class RefusedLine:
    """A line that was held back: its number, the rule, and the reason without any value."""

    line: int
    rule: str
    reason: str


def deidentify_lines(lines: Sequence[str | bytes], deidentifier: FhirDeidentifier) -> Iterator[Resource | RefusedLine]:
    """De-identify each line that is not blank, in order.

    Parameters
    ----------
    lines : sequence of str or bytes
        Read twice: first for the people.
    deidentifier : FhirDeidentifier
    """
    people = _people(lines)
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(numbered, BATCH_LINES)):
        read = [(number, line, _read(number, line)) for number, line in batch]
        deidentifier.prefetch(resource for _, _, resource in read if not isinstance(resource, RefusedLine))
        for number, line, resource in read:
            if isinstance(resource, RefusedLine):
                yield resource
                continue
            named = dict.fromkeys(_OF_PERSON.findall(_text(line)))
            try:
                yield deidentifier.resource(resource, *(p for name in named for p in people.get(name, ())))
            except InputRejected as rejected:
                yield _refused(number, rejected)


def _read(number: int, line: str | bytes) -> Resource | RefusedLine:
    try:
        return loads(line)
    except InputRejected as rejected:
        return _refused(number, rejected)


def _refused(number: int, rejected: InputRejected) -> RefusedLine:
    rule = rejected.rule if isinstance(rejected, DeidentificationRefused) else "malformed"
    return RefusedLine(number, rule, str(rejected))


def _people(lines: Sequence[str | bytes]) -> dict[str, list[Resource]]:
    made: dict[str, list[Resource]] = defaultdict(list)
    for line in lines:
        if not re.search(r'"resourceType"\s*:\s*"(?:Patient|Practitioner|RelatedPerson)"', _text(line)):
            continue
        try:
            resource = loads(line)
        except InputRejected:
            continue  # it is reported in its turn
        made[f"{resource.get('resourceType')}/{resource.get('id')}"].append(resource)
    return made


def _text(line: str | bytes) -> str:
    return line.decode("utf-8", "replace") if isinstance(line, bytes) else line
