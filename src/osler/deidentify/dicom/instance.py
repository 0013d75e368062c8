"""De-identify one instance: one walk over the bytes, one question to the vault, one join.

References
----------
DICOM PS3.15 E.1.1 (de-identifier), PS3.16 CID 7050 (de-identification method)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from osler import __version__
from osler.deidentify.dicom import admission, age, pixels
from osler.deidentify.dicom.rewriting import PATIENT_NAME, Piece, Rewriter, Waiting, coded_item, sequence
from osler.domain.codes import Code
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.states import AgeBand
from osler.standards.confidentiality import EDITION
from osler.standards.dicom import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IDENTITY_TAGS,
    PATIENT_ID,
    file_meta,
    identity_of_values,
    open_part10,
    patient_identity,
)
from osler.standards.dicom_stream import Encoding

PROFILE = Code("113100", "DCM", "Basic Application Confidentiality Profile")
METHOD = f"OSLER {__version__}: DICOM PS3.15 {EDITION} basic profile"
THE_PATIENT = Identity(PseudonymKind.PATIENT, "", "the patient of this instance")
"""Stands for the patient while the walk has not yet read who it is."""

PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD, METHOD_CODE_SEQUENCE = 0x00120062, 0x00120063, 0x00120064
TEMPORAL_MODIFIED = 0x00280303
_READ = IDENTITY_TAGS | admission.READ | age.READ | pixels.READ


class Pseudonyms(Protocol):
    """What stands for the identifiers of a study; the vault behind it gives one for each, for ever."""

    def prefetch(self, identities: Sequence[Identity]) -> None:
        """Get or make many pseudonyms in one go."""
        ...

    def uid(self, value: str) -> str:
        """Return the UID that stands for a UID."""
        ...

    def patient(self, patient_id: str, issuer: str) -> str:
        """Return what stands for a Patient ID of an issuer."""
        ...

    def accession(self, value: str, issuer: str) -> str:
        """Return what stands for an Accession Number of an issuer."""
        ...


@dataclass(frozen=True, slots=True)
class SafeInstance:
    """A de-identified instance, under pseudonyms.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file, in the transfer syntax of the input; what came deflated is in Explicit VR Little Endian.
    sop_instance_uid, series_instance_uid, study_instance_uid : str
        Pseudonymous.
    sop_class_uid : str
    patient, accession : str
        Pseudonyms; the accession is empty when there was none.
    age_band : AgeBand
        Derived before the age was removed; it is not in the file.
    actions : mapping of str to int
        How many attributes each clause of the rules touched.
    """

    content: bytes
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    sop_class_uid: str
    patient: str
    accession: str
    age_band: AgeBand
    actions: Mapping[str, int]


class PreparedInstance:
    """An instance that has been let through and waits for its pseudonyms.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file, identified.

    Attributes
    ----------
    identities : tuple of Identity
        All that the vault will be asked for, each once.

    Raises
    ------
    DeidentificationRefused
        If it cannot be made safe by rule; the error names the rule.
    Malformed
        If the file is damaged.
    UnsupportedKind
        If its transfer syntax is not known.
    """

    def __init__(self, content: bytes) -> None:
        dataset = open_part10(content)
        rewriter = Rewriter(dataset, read=_READ, written=_written(dataset.syntax.encoding))
        rewriter.run()
        self._identity = identity_of_values(rewriter.values, dataset.syntax.uid)
        admission.admit(rewriter.values, dataset.syntax.pixels)
        self._pieces = rewriter.pieces
        if rewriter.pixel_data is not None:
            self._pieces.extend(pixels.pixel_data(dataset, rewriter.pixel_data, rewriter.values))
        self._syntax = EXPLICIT_VR_LITTLE_ENDIAN if dataset.syntax.deflated else dataset.syntax.uid
        self._age_band = age.age_band(rewriter.values)
        self._actions = {clause: count for clause, count in sorted(rewriter.actions.items()) if count}
        waiting = (i for piece in self._pieces if isinstance(piece, Waiting) for i in piece.identities)
        self._patient = patient_identity(self._identity)
        self.identities = tuple(dict.fromkeys((self._patient, *(i for i in waiting if i is not THE_PATIENT))))

    def finish(self, pseudonyms: Pseudonyms) -> SafeInstance:
        """Put the output together, with the pseudonyms in their places."""
        stands_for = {identity: _pseudonym(identity, pseudonyms) for identity in self.identities}
        stands_for[THE_PATIENT] = stands_for[self._patient]
        identity = self._identity
        instance, series, study = (
            stands_for[Identity(PseudonymKind.UID, uid)]
            for uid in (identity.sop_instance_uid, identity.series_instance_uid, identity.study_instance_uid)
        )
        meta = file_meta(identity.sop_class_uid, instance, self._syntax)
        return SafeInstance(
            content=b"".join((meta, *(_encoded(piece, stands_for) for piece in self._pieces))),
            sop_instance_uid=instance,
            series_instance_uid=series,
            study_instance_uid=study,
            sop_class_uid=identity.sop_class_uid,
            patient=stands_for[self._patient],
            accession=stands_for.get(Identity(PseudonymKind.ACCESSION, identity.accession_number), ""),
            age_band=self._age_band,
            actions=self._actions,
        )


def deidentify_instance(content: bytes, *, pseudonyms: Pseudonyms) -> SafeInstance:
    """De-identify one instance by the basic profile.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file, identified.
    pseudonyms : Pseudonyms
        Asked once to prefetch all that the instance needs, and only when the instance is let through.

    Raises
    ------
    DeidentificationRefused
        If it cannot be made safe by rule; the error names the rule.
    Malformed
        If the file is damaged.
    UnsupportedKind
        If its transfer syntax is not known.
    """
    prepared = PreparedInstance(content)
    pseudonyms.prefetch(prepared.identities)
    return prepared.finish(pseudonyms)


def _written(encoding: Encoding) -> list[tuple[int, Piece]]:
    """Return what every de-identified instance has (PS3.15 E.1.1, items 6 to 8), in ascending order."""
    elements = [
        (PATIENT_IDENTITY_REMOVED, encoding.element(PATIENT_IDENTITY_REMOVED, "CS", b"YES")),
        (DEIDENTIFICATION_METHOD, encoding.element(DEIDENTIFICATION_METHOD, "LO", METHOD.encode("ascii"))),
        (METHOD_CODE_SEQUENCE, sequence(METHOD_CODE_SEQUENCE, coded_item(PROFILE, encoding), encoding)),
        (TEMPORAL_MODIFIED, encoding.element(TEMPORAL_MODIFIED, "CS", b"REMOVED")),
    ]
    return [
        (PATIENT_NAME, Waiting(PATIENT_NAME, "PN", encoding, (THE_PATIENT,))),
        (PATIENT_ID, Waiting(PATIENT_ID, "LO", encoding, (THE_PATIENT,))),
        *elements,
    ]


def _pseudonym(identity: Identity, pseudonyms: Pseudonyms) -> str:
    if identity.kind is PseudonymKind.UID:
        return pseudonyms.uid(identity.value)
    if identity.kind is PseudonymKind.PATIENT:
        return pseudonyms.patient(identity.value, identity.issuer)
    return pseudonyms.accession(identity.value, identity.issuer)


def _encoded(piece: Piece, stands_for: Mapping[Identity, str]) -> bytes | memoryview:
    if not isinstance(piece, Waiting):
        return piece
    values = (stands_for[value] if isinstance(value, Identity) else value for value in piece.values)
    return piece.encoding.element(piece.tag, piece.vr, "\\".join(values).encode("ascii"))
