"""A complete study, instance by instance, into a study that carries no identity."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from osler.deidentify.dicom import Pseudonyms, SafeInstance, deidentify_instance
from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.errors import DeidentificationRefused, InputRejected


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that could not be made safe: the rule that refused, and the reason without any value."""

    instance_id: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """An instance that was made safe, with what the ledger notes beside it."""

    instance_id: str
    instance: DeidentifiedInstance
    safe: SafeInstance


def deidentify_instances(
    waiting: Iterable[tuple[str, str]],
    *,
    fetch: Callable[[str], bytes],
    store: Callable[[bytes], str],
    pseudonyms: Pseudonyms,
) -> Iterable[Made | Held]:
    """De-identify instances one after another, holding at most one in memory.

    Parameters
    ----------
    waiting : iterable of (instance id, identified blob)
    fetch : callable
        Reads an identified blob.
    store : callable
        Writes a de-identified blob and returns its reference.
    pseudonyms : Pseudonyms
    """
    for instance_id, blob in waiting:
        try:
            safe = deidentify_instance(fetch(blob), pseudonyms=pseudonyms)
        except DeidentificationRefused as refused:
            yield Held(instance_id, refused.rule, str(refused))
        except InputRejected as rejected:
            yield Held(instance_id, "malformed", str(rejected))
        else:
            made = DeidentifiedInstance(
                safe.sop_instance_uid, safe.series_instance_uid, safe.sop_class_uid, store(safe.content)
            )
            yield Made(instance_id, made, safe)


def deidentified_study(
    instances: Iterable[DeidentifiedInstance],
    *,
    study_instance_uid: str,
    revision: int,
    age_bands: Iterable[AgeBand],
    priority: Priority,
) -> Deidentified:
    """Bind de-identified instances to the study that the queue takes; the first age that is known counts."""
    known = (band for band in age_bands if band is not AgeBand.UNKNOWN)
    return Deidentified(
        study_instance_uid=study_instance_uid,
        revision=revision,
        instances=tuple(instances),
        age_band=next(known, AgeBand.UNKNOWN),
        priority=priority,
    )
