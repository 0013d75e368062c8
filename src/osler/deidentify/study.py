"""A complete study, instance by instance, into a study that carries no identity."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from osler.deidentify.dicom import PreparedInstance, Pseudonyms
from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.errors import ConfigError, DeidentificationRefused, InputRejected, IntegrityError, NotFound

OPTIONS: Final = frozenset({"clean-descriptors", "clean-structured-content", "clean-graphics", "clean-pixel-data"})
"""The options that the flow takes: each lets a model see more, and no identity."""

_BATCH_INSTANCES: Final = 64
_BATCH_BYTES: Final = 64 << 20


def checked_options(names: Iterable[str]) -> tuple[str, ...]:
    """Return the options for :func:`deidentify_instances`.

    Raises
    ------
    ConfigError
        If one is not for the flow: models need no identity, and UIDs that stay cannot be told from pseudonyms.
    """
    options = tuple(names)
    if not set(options) <= OPTIONS:
        raise ConfigError(f"deidentify.options: the flow takes {', '.join(sorted(OPTIONS))}")
    return options


@dataclass(frozen=True, slots=True)
class Held:
    """An instance that could not be made safe: the rule that refused, and the reason without any value."""

    instance_id: str
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """An instance that was made safe; the pseudonyms and the age band are what the ledger notes beside it."""

    instance_id: str
    instance: DeidentifiedInstance
    study_instance_uid: str
    patient: str
    accession: str
    age_band: AgeBand


def deidentify_instances(
    waiting: Iterable[tuple[str, str, bool]],
    *,
    fetch: Callable[[str], bytes],
    store: Callable[[bytes], str],
    pseudonyms: Pseudonyms,
    options: Iterable[str] = (),
) -> Iterator[Made | Held]:
    """De-identify instances, a batch of bounded size in memory, with one question to the vault for each batch.

    Parameters
    ----------
    waiting : iterable of (instance id, identified blob, whether a person has looked at the pixels)
    fetch : callable
        Reads an identified blob.
    store : callable
        Writes a de-identified blob and returns its reference.
    pseudonyms : Pseudonyms
    options : iterable of str
        Some of :data:`OPTIONS`.
    """
    batch: list[tuple[str, PreparedInstance]] = []
    held_bytes = 0
    for instance_id, blob, reviewed in waiting:
        try:
            content = fetch(blob)
            batch.append((instance_id, PreparedInstance(content, options=options, reviewed=reviewed)))
        except (IntegrityError, NotFound):  # one damaged file must not stop the rest for ever
            yield Held(instance_id, "damaged", "the received file is no longer what was received")
        except DeidentificationRefused as refused:
            yield Held(instance_id, refused.rule, str(refused))
        except InputRejected as rejected:
            yield Held(instance_id, "malformed", str(rejected))
        else:
            held_bytes += len(content)
        if len(batch) >= _BATCH_INSTANCES or held_bytes >= _BATCH_BYTES:
            yield from _finish(batch, store, pseudonyms)
            batch, held_bytes = [], 0
    yield from _finish(batch, store, pseudonyms)


def _finish(
    batch: Sequence[tuple[str, PreparedInstance]], store: Callable[[bytes], str], pseudonyms: Pseudonyms
) -> Iterator[Made | Held]:
    pseudonyms.prefetch([identity for _, prepared in batch for identity in prepared.identities])
    for instance_id, prepared in batch:
        try:
            safe = prepared.finish(pseudonyms)
        except DeidentificationRefused as refused:  # the pixels, which are looked at last
            yield Held(instance_id, refused.rule, str(refused))
            continue
        except InputRejected as rejected:
            yield Held(instance_id, "malformed", str(rejected))
            continue
        made = DeidentifiedInstance(
            safe.sop_instance_uid, safe.series_instance_uid, safe.sop_class_uid, store(safe.content)
        )
        yield Made(instance_id, made, safe.study_instance_uid, safe.patient, safe.accession, safe.age_band)


def deidentified_study(
    instances: Iterable[DeidentifiedInstance],
    *,
    study_instance_uid: str,
    revision: int,
    age_bands: Iterable[AgeBand],
    priority: Priority,
    trace: str = "",
) -> Deidentified:
    """Bind de-identified instances to the study that the queue takes; the first age that is known counts."""
    known = (band for band in age_bands if band is not AgeBand.UNKNOWN)
    return Deidentified(
        study_instance_uid=study_instance_uid,
        revision=revision,
        instances=tuple(instances),
        age_band=next(known, AgeBand.UNKNOWN),
        priority=priority,
        trace=trace,
    )
