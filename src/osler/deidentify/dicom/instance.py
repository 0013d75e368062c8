"""De-identify one instance: one walk over the bytes, one question to the vault, one join.

References
----------
DICOM PS3.15 E.1.1 (de-identifier), PS3.16 CID 7050 (de-identification method)
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from osler import __version__
from osler.deidentify.dicom import admission, age, descriptors, pixels
from osler.deidentify.dicom.burned_in import PackagedReader, clean_pixels, faces
from osler.deidentify.dicom.dates import days_of, moved, secret_of
from osler.deidentify.dicom.documents import clean_document
from osler.deidentify.dicom.options import CODES, PROFILE, Option, Options, options_of, temporal_information
from osler.deidentify.dicom.pieces import Dated, Piece, Unclean, Waiting, coded_item, sequence
from osler.deidentify.dicom.rewriting import (
    ENCAPSULATED_DOCUMENT,
    ENCAPSULATED_DOCUMENT_LENGTH,
    PATIENT_NAME,
    Rewriter,
)
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

METHOD = f"OSLER {__version__}: DICOM PS3.15 {EDITION} basic profile"
THE_PATIENT = Identity(PseudonymKind.PATIENT, "", "the patient of this instance")
"""Stands for the patient while the walk has not yet read who it is."""

PATIENT_IDENTITY_REMOVED, DEIDENTIFICATION_METHOD, METHOD_CODE_SEQUENCE = 0x00120062, 0x00120063, 0x00120064
TEMPORAL_MODIFIED = 0x00280303
MIME_TYPE = 0x00420012
_READ = (
    IDENTITY_TAGS
    | admission.READ
    | age.READ
    | pixels.READ
    | descriptors.READ
    | faces.READ
    | {MIME_TYPE, TEMPORAL_MODIFIED}
)


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
    options : collection of str
        Names of options of PS3.15 E.3 that are in force.
    reviewed : bool
        A person has looked at the pixels: what refuses for what they may show does not.

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

    def __init__(self, content: bytes, *, options: Iterable[str] = (), reviewed: bool = False) -> None:
        dataset = open_part10(content)
        self._options = options_of(options)
        written = _written(dataset.syntax.encoding, self._options)
        rewriter = Rewriter(dataset, read=_READ, written=written, options=self._options)
        rewriter.run()
        _say_what_came(rewriter, written[-1][1], self._options)
        self._identity = identity_of_values(rewriter.values, dataset.syntax.uid)
        admission.admit(rewriter.values, dataset.syntax.pixels, options=self._options, reviewed=reviewed)
        self._pieces = _cleaned(rewriter)
        if rewriter.pixel_data is not None:
            self._pieces.extend(pixels.pixel_data(dataset, rewriter.pixel_data, rewriter.values))
        self._syntax = EXPLICIT_VR_LITTLE_ENDIAN if dataset.syntax.deflated else dataset.syntax.uid
        self._age_band = age.age_band(rewriter.values)
        self._actions = {clause: count for clause, count in sorted(rewriter.actions.items()) if count}
        self._patient = patient_identity(self._identity)
        self._secret = secret_of(self._patient)
        self._known = descriptors.known_of_header(rewriter.values) if Option.CLEAN_PIXEL_DATA in self._options else {}
        if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in self._options:
            faces.check_features(rewriter.values, defacer=None)
        wanted = dict.fromkeys((self._patient, *self._asked()))
        self._kept = {i: i.value for i in wanted if self._is_kept(i)}
        self.identities = tuple(i for i in wanted if i not in self._kept)

    def _asked(self) -> Iterator[Identity]:
        """Yield what the vault is to be asked for, beside the patient."""
        for piece in self._pieces:
            if isinstance(piece, Waiting):
                yield from (i for i in piece.identities if i is not THE_PATIENT)
        if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in self._options:
            yield self._secret

    def _is_kept(self, identity: Identity) -> bool:
        return identity.kind is PseudonymKind.UID and identity != self._secret and Option.RETAIN_UIDS in self._options

    def finish(self, pseudonyms: Pseudonyms) -> SafeInstance:
        """Put the output together, with the pseudonyms in their places, and clean its pixels if that was asked for.

        Raises
        ------
        DeidentificationRefused
            If the pixels cannot be made safe.
        Malformed
            If they are damaged.
        ConfigError
            If what reads text in pixels is not installed.
        """
        stands_for = self._kept | {identity: pseudonym_of(identity, pseudonyms) for identity in self.identities}
        stands_for[THE_PATIENT] = stands_for[self._patient]
        days = days_of(stands_for[self._secret]) if self._secret in stands_for else 0
        identity = self._identity
        instance, series, study = (
            stands_for[Identity(PseudonymKind.UID, uid)]
            for uid in (identity.sop_instance_uid, identity.series_instance_uid, identity.study_instance_uid)
        )
        meta = file_meta(identity.sop_class_uid, instance, self._syntax)
        content = b"".join((meta, *(_encoded(piece, stands_for, days) for piece in self._pieces)))
        if Option.CLEAN_PIXEL_DATA in self._options:
            content = clean_pixels(content, known=self._known, reader=_reader()).content
        return SafeInstance(
            content=content,
            sop_instance_uid=instance,
            series_instance_uid=series,
            study_instance_uid=study,
            sop_class_uid=identity.sop_class_uid,
            patient=stands_for[self._patient],
            accession=stands_for.get(Identity(PseudonymKind.ACCESSION, identity.accession_number), ""),
            age_band=self._age_band,
            actions=self._actions,
        )


def deidentify_instance(content: bytes, *, pseudonyms: Pseudonyms, options: Iterable[str] = ()) -> SafeInstance:
    """De-identify one instance by the basic profile with options.

    Parameters
    ----------
    content : bytes
        A DICOM Part 10 file, identified.
    pseudonyms : Pseudonyms
        Asked once to prefetch all that the instance needs, and only when the instance is let through.
    options : collection of str
        Names of options of PS3.15 E.3.

    Raises
    ------
    DeidentificationRefused
        If it cannot be made safe by rule; the error names the rule.
    Malformed
        If the file is damaged.
    UnsupportedKind
        If its transfer syntax is not known.
    """
    prepared = PreparedInstance(content, options=options)
    pseudonyms.prefetch(prepared.identities)
    return prepared.finish(pseudonyms)


@cache
def _reader() -> PackagedReader:
    return PackagedReader()


def _written(encoding: Encoding, options: Options) -> list[tuple[int, Piece]]:
    """Return what every de-identified instance has (PS3.15 E.1.1, items 6 to 8), in ascending order."""
    codes = [PROFILE, *(CODES[option] for option in sorted(options, key=lambda option: CODES[option].value))]
    items = b"".join(coded_item(code, encoding) for code in codes)
    method = METHOD + (" with options" if options else "")
    elements = [
        (PATIENT_IDENTITY_REMOVED, encoding.element(PATIENT_IDENTITY_REMOVED, "CS", b"YES")),
        (DEIDENTIFICATION_METHOD, encoding.element(DEIDENTIFICATION_METHOD, "LO", method.encode("ascii"))),
        (METHOD_CODE_SEQUENCE, sequence(METHOD_CODE_SEQUENCE, items, encoding)),
        (TEMPORAL_MODIFIED, _temporal(encoding, temporal_information(options))),
    ]
    return [
        (PATIENT_NAME, Waiting(PATIENT_NAME, "PN", encoding, (THE_PATIENT,))),
        (PATIENT_ID, Waiting(PATIENT_ID, "LO", encoding, (THE_PATIENT,))),
        *elements,
    ]


def _temporal(encoding: Encoding, word: str) -> bytes:
    return encoding.element(TEMPORAL_MODIFIED, "CS", word.encode("ascii"))


def _say_what_came(rewriter: Rewriter, said: Piece, options: Options) -> None:
    """Correct what is said of the dates by what the instance said of them."""
    came = rewriter.values.get(TEMPORAL_MODIFIED, b"").decode("ascii", "replace").strip(" \0")
    if came:
        better = _temporal(rewriter.encoding, temporal_information(options, came))
        rewriter.pieces = [better if piece is said else piece for piece in rewriter.pieces]


def _cleaned(rewriter: Rewriter) -> list[Piece]:
    """Return the pieces, with the texts cleaned now that the whole header is known."""
    pieces = rewriter.pieces
    if not rewriter.places and not any(isinstance(piece, Unclean) for piece in pieces):
        return pieces
    cleaner = descriptors.cleaner_for(rewriter.values)
    pieces = [_text(piece, cleaner) if isinstance(piece, Unclean) else piece for piece in pieces]
    if ENCAPSULATED_DOCUMENT in rewriter.places:
        mime = rewriter.values.get(MIME_TYPE, b"").decode("ascii", "replace")
        document = clean_document(rewriter.document, mime=mime, cleaner=cleaner)
        encoding = rewriter.encoding
        pieces[rewriter.places[ENCAPSULATED_DOCUMENT]] = encoding.element(ENCAPSULATED_DOCUMENT, "OB", document)
        if ENCAPSULATED_DOCUMENT_LENGTH in rewriter.places:
            length = len(document).to_bytes(4, "big" if encoding.big_endian else "little")
            pieces[rewriter.places[ENCAPSULATED_DOCUMENT_LENGTH]] = encoding.element(
                ENCAPSULATED_DOCUMENT_LENGTH, "UL", length
            )
    return pieces


def _text(piece: Unclean, cleaner: descriptors.TextCleaner) -> bytes:
    """Return a cleaned text, or what stands in when nothing of it is left."""
    cleaned = cleaner.value(piece.raw, vr="SH" if piece.vr == "AE" else piece.vr, character_set=piece.character_set)
    if not cleaned and piece.raw.strip(b" \0") and piece.otherwise is None:
        return b""
    return piece.encoding.element(piece.tag, piece.vr, cleaned or piece.otherwise or b"")


def pseudonym_of(identity: Identity, pseudonyms: Pseudonyms) -> str:
    """Ask for what stands for an identity of any kind."""
    if identity.kind is PseudonymKind.UID:
        return pseudonyms.uid(identity.value)
    if identity.kind is PseudonymKind.PATIENT:
        return pseudonyms.patient(identity.value, identity.issuer)
    return pseudonyms.accession(identity.value, identity.issuer)


def _encoded(piece: Piece, stands_for: Mapping[Identity, str], days: int) -> bytes | memoryview:
    if isinstance(piece, Dated):
        return piece.encoding.element(piece.tag, piece.vr, moved(piece.raw, piece.vr, days) or b"")
    if isinstance(piece, Unclean):
        return piece.encoding.element(piece.tag, piece.vr, piece.otherwise or b"")
    if not isinstance(piece, Waiting):
        return piece
    values = (stands_for[value] if isinstance(value, Identity) else value for value in piece.values)
    return piece.encoding.element(piece.tag, piece.vr, "\\".join(values).encode("ascii"))
