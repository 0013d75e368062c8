"""What an edge says of a study that it forwards: which instances there are, and the little that a model may know."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.errors import Malformed

PSEUDONYMOUS_UID: Final = re.compile(r"2\.25\.(?:0|[1-9][0-9]{0,38})")
"""The form of the UIDs that a vault gives (PS3.5 B.2)."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CLASS: Final = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_MOST_INSTANCES: Final = 100_000
_LARGEST_REVISION: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One revision of a study, under pseudonyms. Only a claim: what came with it is still to be looked at.

    ``blob`` of an instance is the SHA-256 of its Part 10 file.
    """

    revision: int
    age_band: AgeBand
    priority: Priority
    instances: tuple[DeidentifiedInstance, ...]


def manifest_of(study: Deidentified) -> Manifest:
    """Return what is to be said of a de-identified study."""
    return Manifest(study.revision, study.age_band, study.priority, study.instances)


def dumps(manifest: Manifest) -> str:
    """Write a manifest as JSON text."""
    instances = [[i.sop_instance_uid, i.series_instance_uid, i.sop_class_uid, i.blob] for i in manifest.instances]
    document = {
        "revision": manifest.revision,
        "age_band": manifest.age_band.value,
        "priority": manifest.priority.value,
        "instances": instances,
    }
    return json.dumps(document, separators=(",", ":"))


def loads(text: str | bytes) -> Manifest:
    """Read a manifest from JSON text.

    Raises
    ------
    Malformed
        If it is none, names nothing, or names an instance twice or by anything but a pseudonym.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise Malformed("the manifest is not JSON") from None
    if not isinstance(document, Mapping):
        raise Malformed("the manifest is not an object")
    revision, rows = document.get("revision"), document.get("instances")
    if not isinstance(revision, int) or isinstance(revision, bool) or not 1 <= revision <= _LARGEST_REVISION:
        raise Malformed("revision is not a whole number above 0")
    if not isinstance(rows, list) or not 0 < len(rows) <= _MOST_INSTANCES:
        raise Malformed(f"instances is not an array of 1 to {_MOST_INSTANCES}")
    try:
        band, priority = AgeBand(str(document.get("age_band"))), Priority(str(document.get("priority")))
    except ValueError:
        raise Malformed("age_band or priority is none that is known") from None
    instances = tuple(_instance(row) for row in rows)
    if len({one.sop_instance_uid for one in instances}) != len(instances):
        raise Malformed("an instance is named twice")
    return Manifest(revision, band, priority, instances)


def _instance(row: Any) -> DeidentifiedInstance:
    if not isinstance(row, list) or len(row) != 4 or not all(isinstance(value, str) for value in row):
        raise Malformed("an instance is not an array of four strings")
    sop, series, sop_class, blob = row
    if not PSEUDONYMOUS_UID.fullmatch(sop) or not PSEUDONYMOUS_UID.fullmatch(series):
        raise Malformed("a UID has not the form of a pseudonym")
    if len(sop_class) > 64 or not _CLASS.fullmatch(sop_class) or not _SHA256.fullmatch(blob):
        raise Malformed("a SOP class or a hash has another form")
    return DeidentifiedInstance(sop, series, sop_class, blob)
