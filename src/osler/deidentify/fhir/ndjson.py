"""NDJSON (FHIR bulk data): one resource a line; a patient's names are looked for in all that refers to him."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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


def deidentify_lines(
    lines: Sequence[str | bytes], deidentifier: FhirDeidentifier, people: Sequence[str | bytes] = ()
) -> Iterator[Resource | RefusedLine]:
    """De-identify each line that is not blank, in order.

    Parameters
    ----------
    lines : sequence of str or bytes
        Read twice: first for the people.
    deidentifier : FhirDeidentifier
    people : sequence of str or bytes, optional
        Lines with further people, such as those of the file of Patients that belongs to the lines.
    """
    known = _people([*people, *lines])
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    while batch := list(islice(numbered, BATCH_LINES)):
        read = [(number, _read(number, line), _of(line, known)) for number, line in batch]
        deidentifier.prefetch((one, *theirs) for _, one, theirs in read if not isinstance(one, RefusedLine))
        for number, resource, theirs in read:
            if isinstance(resource, RefusedLine):
                yield resource
                continue
            try:
                yield deidentifier.resource(resource, *theirs)
            except InputRejected as rejected:
                yield _refused(number, rejected)


def people_of(content: str | bytes, people: Sequence[str | bytes]) -> list[Resource]:
    """Return the people among some lines to whom a resource refers, as it is written."""
    return _of(content, _people(people))


def _of(line: str | bytes, known: Mapping[str, Sequence[Resource]]) -> list[Resource]:
    named = dict.fromkeys(_OF_PERSON.findall(_text(line)))
    return [person for name in named for person in known.get(name, ())]


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
