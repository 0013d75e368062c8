"""NDJSON (FHIR bulk data): one resource a line; a patient's names are looked for in all that refers to him."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from osler.deidentify.fhir import FhirDeidentifier
from osler.errors import DeidentificationRefused, InputRejected
from osler.standards.fhir import Resource, loads

_OF_PERSON = re.compile(r'"((?:Patient|Practitioner|RelatedPerson)/[A-Za-z0-9.-]{1,64})"')


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
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        named = dict.fromkeys(_OF_PERSON.findall(_text(line)))
        try:
            yield deidentifier.resource(loads(line), *(p for name in named for p in people.get(name, ())))
        except DeidentificationRefused as refused:
            yield RefusedLine(number, refused.rule, str(refused))
        except InputRejected as rejected:
            yield RefusedLine(number, "malformed", str(rejected))


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
