"""STOW-RS without the HTTP: the parts of a request in, the answer of the standard out.

References
----------
DICOM PS3.18 section 10.5 (Store transaction), table 10.5.3-1 (status codes), annex I (store instances response module)
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from osler.domain.events import Received
from osler.domain.identifiers import InstanceIdentity
from osler.errors import DataSetMismatch, InputRejected, Malformed, OslerError, Transient, UnsupportedMediaType
from osler.ingest.multipart import BodyLimits, MediaType, Multipart, parse_content_type
from osler.standards.dicom import read_identity, with_own_meta

DICOM: Final = "application/dicom"

_RETRIEVE_URL: Final = "00081190"
_REFERENCED_SOP_CLASS_UID: Final = "00081150"
_REFERENCED_SOP_INSTANCE_UID: Final = "00081155"
_FAILURE_REASON: Final = "00081197"
_FAILED_SOP_SEQUENCE: Final = "00081198"
_REFERENCED_SOP_SEQUENCE: Final = "00081199"
_OTHER_FAILURES_SEQUENCE: Final = "0008119A"


@dataclass(frozen=True, slots=True)
class StoreFailure:
    """A part that was not stored.

    Parameters
    ----------
    reason : int
        Failure Reason (0008,1197): the status that a C-STORE would have had.
    identity : InstanceIdentity, optional
        None when the part does not say what it is.
    """

    reason: int
    identity: InstanceIdentity | None = None


@dataclass(frozen=True, slots=True)
class StoreResult:
    """What became of the parts of a request."""

    stored: tuple[InstanceIdentity, ...]
    failed: tuple[StoreFailure, ...]

    @property
    def http_status(self) -> int:
        """200 all stored, 202 some, 409 none, 503 none but another time (PS3.18 table 10.5.3-1)."""
        if not self.failed:
            return 200
        if self.stored:
            return 202
        return 503 if all(failure.reason == Transient.dimse_status for failure in self.failed) else 409

    def to_json(self, base_url: str) -> dict[str, Any]:
        """Build the response's dataset in the DICOM JSON model (PS3.18 annexes F and I).

        Parameters
        ----------
        base_url : str
            Address of the DICOMweb service, without a slash at the end.
        """
        studies = {identity.study_instance_uid for identity in self.stored}
        answer = {_RETRIEVE_URL: _element("UR", f"{base_url}/studies/{studies.pop()}") if len(studies) == 1 else _UR}
        if self.stored:
            answer[_REFERENCED_SOP_SEQUENCE] = _element(
                "SQ", *(_reference(identity) | _retrieve_url(base_url, identity) for identity in self.stored)
            )
        if self.failed:
            answer[_FAILED_SOP_SEQUENCE] = _element("SQ", *(_failure(failure) for failure in self.failed))
        unnamed = [_failure(failure) for failure in self.failed if failure.identity is None]
        if unnamed:
            answer[_OTHER_FAILURES_SEQUENCE] = _element("SQ", *unnamed)
        return answer


def open_multipart(content_type: str, limits: BodyLimits) -> Multipart:
    """Return the parser of a STOW-RS body; one part at a time is in memory.

    Parameters
    ----------
    content_type : str
        Value of the request's Content-Type header.
    limits : BodyLimits

    Raises
    ------
    UnsupportedMediaType
        If this is not multipart/related of application/dicom: metadata with bulk data, say.
    Malformed
        If it names no boundary.
    """
    media_type: MediaType = parse_content_type(content_type)
    if media_type.name != "multipart/related" or media_type.type not in ("", DICOM):
        raise UnsupportedMediaType('only multipart/related; type="application/dicom" is taken')
    return Multipart(media_type.boundary, limits)


class Storing:
    """The parts of one request on their way.

    Once a part is stored, a body that breaks off counts as a failure, and the answer still says what was stored.

    Parameters
    ----------
    accept : callable
        Returns when the instance is durable; its OslerError fails this part alone.
    source : str
        ``stow:<client id>``.
    study_instance_uid : str
        Of the address ``/studies/{study}``; instances of another study are refused. Empty: any study.
    """

    def __init__(self, accept: Callable[[Received], None], source: str, study_instance_uid: str = "") -> None:
        self._accept = accept
        self._source = source
        self._study_instance_uid = study_instance_uid
        self._stored: list[InstanceIdentity] = []
        self._failed: list[StoreFailure] = []

    def store(self, content: bytes) -> None:
        """Store one part, or note why not."""
        identity = None
        try:
            identity = read_identity(content)
            if self._study_instance_uid not in ("", identity.study_instance_uid):
                raise DataSetMismatch("the instance is not of the study that the address names")
            self._accept(Received(identity, with_own_meta(content, identity), self._source, time.time()))
        except OslerError as error:
            self._failed.append(StoreFailure(error.dimse_status, identity))
        else:
            self._stored.append(identity)

    def broke_off(self, error: InputRejected) -> None:
        """Note that the body cannot be read any further.

        Raises
        ------
        InputRejected
            The same, when nothing was stored.
        """
        if not self._stored:
            raise error
        self._failed.append(StoreFailure(error.dimse_status))

    def result(self) -> StoreResult:
        """Return what became of the parts.

        Raises
        ------
        Malformed
            If there was none.
        """
        if not self._stored and not self._failed:
            raise Malformed("the request has no part")
        return StoreResult(tuple(self._stored), tuple(self._failed))


_UR: Final[dict[str, Any]] = {"vr": "UR"}


def _element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def _reference(identity: InstanceIdentity) -> dict[str, Any]:
    return {
        _REFERENCED_SOP_CLASS_UID: _element("UI", identity.sop_class_uid),
        _REFERENCED_SOP_INSTANCE_UID: _element("UI", identity.sop_instance_uid),
    }


def _failure(failure: StoreFailure) -> dict[str, Any]:
    named = _reference(failure.identity) if failure.identity is not None else {}
    return named | {_FAILURE_REASON: _element("US", failure.reason)}


def _retrieve_url(base_url: str, identity: InstanceIdentity) -> dict[str, Any]:
    series = f"{base_url}/studies/{identity.study_instance_uid}/series/{identity.series_instance_uid}"
    return {_RETRIEVE_URL: _element("UR", f"{series}/instances/{identity.sop_instance_uid}")}
