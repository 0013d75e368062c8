"""De-identify one instance: one walk over the bytes, one question to the vault, one join.

References
----------
DICOM PS3.15 E.1.1 (de-identifier)
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

from osler.deidentify.dicom import admission, age, descriptors, method, pixels
from osler.deidentify.dicom.burned_in import CleanedPixels, PackagedReader, clean_pixels, faces
from osler.deidentify.dicom.burned_in.defacing import RULE, Defacer, defaced
from osler.deidentify.dicom.dates import days_of, secret_of
from osler.deidentify.dicom.documents import clean_document
from osler.deidentify.dicom.mapped import in_steps
from osler.deidentify.dicom.options import Option, options_of
from osler.deidentify.dicom.pieces import Dated, Made, Part, Piece, Sealed, Unclean, Waiting
from osler.deidentify.dicom.rewriting import (
    ENCAPSULATED_DOCUMENT,
    ENCAPSULATED_DOCUMENT_LENGTH,
    PATIENT_NAME,
    Rewriter,
)
from osler.deidentify.dicom.sealing import KEY, holds, seal_of, sealed, values_of
from osler.domain.identifiers import Identity, PseudonymKind
from osler.domain.states import AgeBand
from osler.errors import ConfigError, DeidentificationRefused
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

THE_PATIENT = Identity(PseudonymKind.PATIENT, "", "the patient of this instance")
"""Stands for the patient while the walk has not yet read who it is."""

MIME_TYPE = 0x00420012
_READ = (
    IDENTITY_TAGS | admission.READ | age.READ | pixels.READ | descriptors.READ | faces.READ | method.READ | {MIME_TYPE}
)


OnCleaned = Callable[[bytes, CleanedPixels], None]


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
    parts : sequence
        What a DICOM Part 10 file consists of, in the transfer syntax of the input; what came deflated is in Explicit VR
        Little Endian.
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

    parts: Sequence[Part]
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    sop_class_uid: str
    patient: str
    accession: str
    age_band: AgeBand
    actions: Mapping[str, int]

    @property
    def content(self) -> bytes:
        """The whole file."""
        return b"".join(self.written())

    def written(self) -> Iterator[bytes | memoryview]:
        """Yield the file in steps, each to be used before the next is asked for, so that a large one is never held."""
        for part in self.parts:
            for some in part.parts() if isinstance(part, Made) else (part,):
                yield from in_steps(some)


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
    defacer : Defacer, optional
        What makes a face unrecognizable under clean-recognizable-visual-features; without one, what may show a face is
        refused.

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

    def __init__(
        self,
        content: bytes,
        *,
        options: Iterable[str] = (),
        reviewed: bool = False,
        defacer: Defacer | None = None,
    ) -> None:
        dataset = open_part10(content)
        self._options = options_of(options)
        self._defacer: Defacer | None = None
        written = _written(dataset.syntax.encoding)
        rewriter = Rewriter(dataset, read=_READ, written=written, options=self._options)
        rewriter.run()
        said = method.said(rewriter.values, rewriter.method_codes, dataset.syntax.encoding, self._options)
        if rewriter.pixel_data is not None:
            features = method.visual_features(rewriter.values, dataset.syntax.encoding, self._options)
            said[method.RECOGNIZABLE_VISUAL_FEATURES] = features
        self._identity = identity_of_values(rewriter.values, dataset.syntax.uid)
        admission.admit(rewriter.values, dataset.syntax.pixels, options=self._options, reviewed=reviewed)
        looks = Option.CLEAN_PIXEL_DATA in self._options or rewriter.overlays
        self._known = descriptors.known_of_header(rewriter.values) if looks else {}
        if rewriter.overlays:
            _look_at_overlays(rewriter, self._known)
        self._pieces = [said.get(p.tag, p) if isinstance(p, Waiting) else p for p in _cleaned(rewriter)]
        self._seal = seal_of(rewriter.values.get(method.DEIDENTIFICATION_METHOD, b""))
        self._header, self._values = len(self._pieces), rewriter.values
        if rewriter.pixel_data is not None:
            self._pieces.extend(pixels.pixel_data(dataset, rewriter.pixel_data, rewriter.values))
        self._syntax = EXPLICIT_VR_LITTLE_ENDIAN if dataset.syntax.deflated else dataset.syntax.uid
        self._age_band = age.age_band(rewriter.values)
        self._actions = {clause: count for clause, count in sorted(rewriter.actions.items()) if count}
        self._patient = patient_identity(self._identity)
        self._secret = secret_of(self._patient)
        if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in self._options:
            self._defacer = _needed_defacer(rewriter, defacer)
        self.identities = tuple(dict.fromkeys((KEY, self._patient, *self._asked())))

    def _asked(self) -> Iterator[Identity]:
        """Yield what the vault is to be asked for, beside the patient."""
        for piece in self._pieces:
            if isinstance(piece, Waiting):
                yield from (i for i in piece.identities if i is not THE_PATIENT)
        if Option.RETAIN_LONGITUDINAL_MODIFIED_DATES in self._options:
            yield self._secret

    def _holds(self, key: str) -> bool:
        """Whether what came is what this vault gave, with these options."""
        came = values_of(self._pieces, days=0, value_of=self._as_it_came)
        return holds(self._seal, sealed(self._pieces, came, key=key, options=self._options))

    def _as_it_came(self, identity: Identity) -> str:
        return self._patient.value if identity is THE_PATIENT else identity.value

    def finish(self, pseudonyms: Pseudonyms, *, on_cleaned: OnCleaned = lambda before, after: None) -> SafeInstance:
        """Put the output together, with the pseudonyms in their places, and clean its pixels if that was asked for.

        Parameters
        ----------
        pseudonyms : Pseudonyms
        on_cleaned : callable
            Told of pixels that were cleaned: the file before, whose header is de-identified, and what became of it.

        Raises
        ------
        DeidentificationRefused
            If the pixels cannot be made safe.
        Malformed
            If they are damaged.
        ConfigError
            If what reads text in pixels is not installed.
        """
        stands_for = {identity: pseudonym_of(identity, pseudonyms) for identity in self.identities}
        stands_for[THE_PATIENT] = stands_for[self._patient]
        days = days_of(stands_for[self._secret]) if self._secret in stands_for else 0
        key = stands_for[KEY]
        if self._seal and self._holds(key):
            stands_for, days = {identity: self._as_it_came(identity) for identity in stands_for}, 0
        values = values_of(self._pieces, days=days, value_of=stands_for.__getitem__)
        seal = sealed(self._pieces, values, key=key, options=self._options)
        identity = self._identity
        instance, series, study = (
            uid if Option.RETAIN_UIDS in self._options else stands_for[Identity(PseudonymKind.UID, uid)]
            for uid in (identity.sop_instance_uid, identity.series_instance_uid, identity.study_instance_uid)
        )
        meta = file_meta(identity.sop_class_uid, instance, self._syntax)
        safe = SafeInstance(
            parts=(meta, *(_encoded(p, value, seal) for p, value in zip(self._pieces, values, strict=True))),
            sop_instance_uid=instance,
            series_instance_uid=series,
            study_instance_uid=study,
            sop_class_uid=identity.sop_class_uid,
            patient=stands_for[self._patient],
            accession=stands_for.get(Identity(PseudonymKind.ACCESSION, identity.accession_number), ""),
            age_band=self._age_band,
            actions=self._actions,
        )
        if self._defacer is not None:
            dataset, token = defaced(safe.content, self._defacer)
            header = safe.parts[: 1 + self._header]
            safe = replace(safe, parts=(*header, *pixels.pixel_data(dataset, token, self._values)))
        if Option.CLEAN_PIXEL_DATA in self._options:
            before = safe.content
            cleaned = clean_pixels(before, known=self._known, reader=_reader())
            on_cleaned(before, cleaned)
            return replace(safe, parts=(cleaned.content,))
        return safe


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


def _written(encoding: Encoding) -> list[tuple[int, Piece]]:
    """Return what every de-identified instance has, in ascending order of the tags."""
    return [
        (PATIENT_NAME, Waiting(PATIENT_NAME, "PN", encoding, (THE_PATIENT,))),
        (PATIENT_ID, Waiting(PATIENT_ID, "LO", encoding, (THE_PATIENT,))),
        *method.places(encoding),
    ]


def _needed_defacer(rewriter: Rewriter, defacer: Defacer | None) -> Defacer | None:
    """Return what defaces an instance that may show a face; of another, nothing."""
    if rewriter.pixel_data is None or not faces.may_be_recognizable(rewriter.values):
        return None
    if defacer is None:
        raise DeidentificationRefused(
            RULE, "a face may be recognizable and no defacing tool is configured: give one with --defacer"
        )
    return defacer


def _look_at_overlays(rewriter: Rewriter, known: Mapping[str, Any]) -> None:
    """Take the overlay planes that may show text out; where nothing is installed that reads text, all of them."""
    try:
        reader = _reader()
    except ConfigError:
        reader = None
    rewriter.actions["overlay"] += rewriter.overlays.drop_unsafe(rewriter.pieces, reader=reader, known=known)


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


def _encoded(piece: Piece, value: bytes | None, seal: str) -> Part:
    if isinstance(piece, Waiting | Dated):
        return piece.encoding.element(piece.tag, piece.vr, value or b"")
    if isinstance(piece, Sealed):
        return piece.encoding.element(piece.tag, piece.vr, "\\".join((*piece.texts, f"seal {seal}")).encode("ascii"))
    if isinstance(piece, Unclean):
        return piece.encoding.element(piece.tag, piece.vr, piece.otherwise or b"")
    return piece
