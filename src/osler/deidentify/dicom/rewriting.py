"""The walk over one dataset that decides element by element and puts the output together.

What is kept is copied as it stands, in spans as long as possible; the pixel data is never looked at. Sequences are
written with undefined length, so that nothing has to be counted.
"""

from collections import Counter
from dataclasses import dataclass

from osler.deidentify.dicom.coded import UNKNOWN, is_code_sequence, is_local, safe_code
from osler.deidentify.dicom.dates import moved
from osler.deidentify.dicom.forms import BODY_PART_EXAMINED, dummy, is_code, is_harmless
from osler.deidentify.dicom.method import METHOD_CODE_SEQUENCE
from osler.deidentify.dicom.options import KEEP_TEXT, NONE, Option, Options
from osler.deidentify.dicom.overlays import Overlays
from osler.deidentify.dicom.pieces import (
    CODE_MEANING,
    CODE_VALUE,
    CODING_SCHEME_DESIGNATOR,
    Dated,
    Piece,
    Unclean,
    Waiting,
    coded_item,
    sequence,
)
from osler.deidentify.dicom.private import SafePrivate
from osler.deidentify.dicom.profile import Action, Rule, rule
from osler.deidentify.dicom.retained import retained, safe_uid
from osler.domain.codes import Code
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import DeidentificationRefused
from osler.standards.dicom import (
    ACCESSION_NUMBER,
    SPECIFIC_CHARACTER_SET,
    EncodedDataset,
    Pixels,
    read_identifier,
)
from osler.standards.dicom_stream import (
    EXPLICIT_LITTLE_ENDIAN,
    PIXEL_DATA,
    UNDEFINED_LENGTH,
    Kind,
    Token,
    walk,
)

MOST_UIDS = 100_000
"""Different UIDs that are replaced in one instance; each is a row of the vault."""
PATIENT_NAME = 0x00100010
_CODED = frozenset({CODE_VALUE, CODING_SCHEME_DESIGNATOR, CODE_MEANING})
ENCAPSULATED_DOCUMENT, ENCAPSULATED_DOCUMENT_LENGTH = 0x00420011, 0x00420015
_DOCUMENT = frozenset({ENCAPSULATED_DOCUMENT, ENCAPSULATED_DOCUMENT_LENGTH})
_RETAINS = frozenset({Option.RETAIN_UIDS, "form"})
"""Under Retain UIDs, clauses of UIDs that stay: those of its column, and those that table E.1-1 does not know."""
_BY_OPTION = frozenset({Action.KEEP, Action.CLEAN, Action.MOVE})
_CLEANED = frozenset({"AE", "CS", "LO", "LT", "SH", "ST", "UC", "UT"})
_CODE_BYTES = 16
_FRAGMENTS = frozenset(EXPLICIT_LITTLE_ENDIAN.header(PIXEL_DATA, vr, UNDEFINED_LENGTH) for vr in ("OB", "OW"))
"""Header of encapsulated pixel data."""
_OVERLAY_IN_PIXELS = frozenset({0x60000100, 0x60000102})


@dataclass(slots=True)
class _CodeItem:
    """An item that may be a coded concept: where its Code Value goes, and what the concept has become."""

    place: int | None = None
    value: bytes = b""
    code: Code | None = None


class Rewriter:
    """One pass over a dataset.

    Parameters
    ----------
    dataset : EncodedDataset
    read : frozenset of int
        Tags of the dataset itself whose raw values the caller wants in ``values``; those that say where an overlay lies
        are always there.
    written : list of (tag, piece), ascending
        Elements that the output has instead of what the input has.
    options : frozenset of Option
        Options of the profile that are in force.

    Attributes
    ----------
    pieces : list of Piece
        The output, up to the pixel data.
    values : dict of tag to raw value
    actions : Counter of clause
    pixel_data : Token or None
        Of one with fragments, the end is that of the dataset.
    places : dict of tag to int
        Where in ``pieces`` the elements of an encapsulated document stand: its bytes and their length.
    overlays : Overlays
        Planes that stand in ``pieces`` until they are looked at.
    document : bytes
        The encapsulated document as it came.
    method_codes : list of bytes
        Code Values of the De-identification Method Code Sequence as it came.
    """

    def __init__(
        self,
        dataset: EncodedDataset,
        *,
        read: frozenset[int],
        written: list[tuple[int, Piece]],
        options: Options = NONE,
    ) -> None:
        self.pieces: list[Piece] = []
        self.values: dict[int, bytes] = {}
        self.actions: Counter[str] = Counter()
        self.pixel_data: Token | None = None
        self._dataset = dataset
        self._data = dataset.data
        self._view = memoryview(dataset.data)
        self._read = read
        self._written = written[::-1]
        self._own = frozenset(tag for tag, _ in written)
        self._span = (0, 0)
        self._skipped: int | None = None
        self._in_method = False
        self._different: set[Identity] = set()
        self._codes: list[_CodeItem] = []
        self._options = options
        self._character_sets = [b""]
        self._private = SafePrivate() if Option.RETAIN_SAFE_PRIVATE in options else None
        self.places: dict[int, int] = {}
        self.overlays = Overlays()
        self.document = b""
        self.method_codes: list[bytes] = []
        self.encoding = dataset.syntax.encoding

    def run(self) -> None:
        """Walk up to the pixel data; nothing after it is kept (PS3.5 allows signatures and padding there)."""
        for token in walk(self._data, self._dataset.start, len(self._data), self._dataset.syntax.encoding):
            if token.depth == 0 and token.kind <= Kind.SEQUENCE:
                self._insert(token.tag)
                if token.tag >= PIXEL_DATA:
                    self.pixel_data = token if token.tag == PIXEL_DATA else None
                    break
                if token.tag in self._read or token.tag & 0xFF00FFFF in _OVERLAY_IN_PIXELS:
                    self.values[token.tag] = self._data[token.value : token.end]
            if self._skipped is None:
                self._step(token)
            else:
                self._pass_over(token, self._skipped)
            if token.depth == 0 and token.kind is not Kind.SEQUENCE and self._is_before_fragments(token.end):
                break
        self._insert(0xFFFFFFFF)
        self._flush()

    def _is_before_fragments(self, at: int) -> bool:
        """Whether encapsulated pixel data begins here (PS3.5 A.4); the walk is spared its fragments."""
        if self._dataset.syntax.pixels is Pixels.NATIVE or self._data[at : at + 12] not in _FRAGMENTS:
            return False
        vr = self._data[at + 4 : at + 6].decode("ascii")
        self.pixel_data = Token(
            Kind.FRAGMENTS, PIXEL_DATA, vr, at, at + 12, len(self._data), 0, self._dataset.syntax.encoding
        )
        return True

    def _pass_over(self, token: Token, skipped: int) -> None:
        if token.kind is Kind.END_OF_SEQUENCE and token.depth == skipped:
            self._skipped, self._in_method = None, False
        elif (
            self._in_method and token.tag == CODE_VALUE and token.depth == 1 and token.end - token.value <= _CODE_BYTES
        ):
            self.method_codes.append(self._data[token.value : min(token.end, token.value + _CODE_BYTES)])

    def _step(self, token: Token) -> None:
        if token.kind <= Kind.FRAGMENTS:
            self._element(token)
        elif token.kind is Kind.SEQUENCE:
            self._sequence(token)
        elif token.kind is Kind.ITEM:
            self._codes.append(_CodeItem())
            self._character_sets.append(self._character_sets[-1])
            if self._private:
                self._private.enter()
            self._write(token.encoding.item)
        elif token.kind is Kind.END_OF_ITEM:
            self._codes.pop()
            self._character_sets.pop()
            if self._private:
                self._private.leave()
            self._write(token.encoding.end_of_item)
        else:
            self._write(token.encoding.end_of_sequence)

    # ------------------------------------------------------------------------------------------ output

    def _insert(self, before: int) -> None:
        while self._written and self._written[-1][0] <= before:
            self._write(self._written.pop()[1])

    def _write(self, piece: Piece) -> None:
        self._flush()
        self.pieces.append(piece)

    def _keep(self, token: Token) -> None:
        if self._span[1] != token.start:
            self._flush()
            self._span = (token.start, token.end)
        else:
            self._span = (self._span[0], token.end)

    def _flush(self) -> None:
        start, end = self._span
        if start < end:
            self.pieces.append(self._view[start:end])
        self._span = (0, 0)

    # ------------------------------------------------------------------------------------------ decisions

    def _sequence(self, token: Token) -> None:
        what = rule(token.tag, nested=token.depth > 0, options=self._options)
        action = Action.REMOVE if token.depth == 0 and token.tag in self._own else what.action
        if action in (Action.CHECK, Action.REPLACE_UID):
            if what.vrs == "SQ" and not (token.vr == "UN" and token.encoding.big_endian):
                self._write(token.encoding.header(token.tag, token.vr, UNDEFINED_LENGTH))
                return
            action = what.otherwise
        self._skipped = token.depth
        self._in_method = token.depth == 0 and token.tag == METHOD_CODE_SEQUENCE
        self._replace(token, what, action)

    def _element(self, token: Token) -> None:
        nested = token.depth > 0
        if nested and token.tag in _CODED:
            self._coded(token, self._codes[-1])
            return
        what = rule(token.tag, nested=nested, options=self._options)
        if token.tag == SPECIFIC_CHARACTER_SET:
            self._character_sets[-1] = self._data[token.value : token.end]
        if token.tag == ACCESSION_NUMBER:
            self._accession(token, what)
        elif not nested and token.tag in self._own:
            self.actions[what.clause] += 1
        elif what.clause == "private" and self._private is not None:
            self._of_private(token, what, self._private)
        elif not nested and token.tag in _DOCUMENT and Option.CLEAN_DESCRIPTORS in self._options:
            self._write(b"")
            self.places[token.tag] = len(self.pieces) - 1
            self.encoding = token.encoding
            if token.tag == ENCAPSULATED_DOCUMENT:
                self.document = self._data[token.value : token.end]
        elif what.action in _BY_OPTION:
            self._by_option(token, what)
        elif what.action is not Action.CHECK:
            self._by_rule(token, what)
        else:
            self._by_form(token, what)

    def _is_plane(self, token: Token) -> bool:
        self._flush()
        return Option.CLEAN_GRAPHICS in self._options and self.overlays.takes(token, self._data, len(self.pieces))

    def _by_rule(self, token: Token, what: Rule) -> None:
        if what.action is Action.REPLACE_UID:
            self._uids(token, what)
        elif what.clause == "curve-or-overlay" and not token.depth and self._is_plane(token):
            self._write(self._view[token.start : token.end])
        else:
            self._replace(token, what, what.action)

    def _by_form(self, token: Token, what: Rule) -> None:
        if (vr := self._vr(token, what)) == "UI":
            self._uids(token, what)
        elif vr and is_harmless(token.tag, vr, self._data[token.value : token.end], most=what.most):
            self._keep(token)
        elif vr == "CS" and token.tag != BODY_PART_EXAMINED:
            self._codes_of(token, what)
        else:
            self._replace(token, what, what.otherwise)

    def _by_option(self, token: Token, what: Rule) -> None:
        """Keep, clean or move a value as an option says; where that cannot be done, as its type demands."""
        vr, raw = self._vr(token, what), self._data[token.value : token.end]
        if what.action is Action.KEEP and vr:
            kept = retained(token.tag, vr, raw)
            if kept is not None:
                self.actions[what.clause] += 1
                self._write(token.encoding.element(token.tag, vr, kept))
                return
        elif what.action is Action.MOVE and vr and moved(raw, vr, -1) is not None:
            self.actions[what.clause] += 1
            self._write(Dated(token.tag, vr, token.encoding, raw))
            return
        elif what.action is Action.CLEAN and vr in _CLEANED:
            self.actions[what.clause] += 1
            otherwise = {Action.EMPTY: b"", Action.DUMMY: dummy(vr)}.get(what.otherwise)
            self._write(Unclean(token.tag, vr, token.encoding, raw, self._character_sets[-1], otherwise))
            return
        self._replace(token, what, what.otherwise)

    def _of_private(self, token: Token, what: Rule, private: SafePrivate) -> None:
        value = self._data[token.value : token.end]
        vr = private.vr_of(token.tag, value) if token.kind is Kind.ELEMENT and not token.encoding.big_endian else ""
        if vr and token.vr in (vr, "UN") and (vr == "LO" or is_harmless(token.tag, vr, value)):
            self._write(token.encoding.element(token.tag, vr, value))
        else:
            self._replace(token, what, Action.REMOVE)

    def _codes_of(self, token: Token, what: Rule) -> None:
        """Keep the values of a code string that are the standard's; another one loses its place to a dummy."""
        known = [(value, is_code(value)) for value in self._data[token.value : token.end].split(b"\\")]
        if not any(value.strip(b" \0") and is_known for value, is_known in known):
            self._replace(token, what, what.otherwise)
            return
        self.actions[what.clause] += 1
        values = (value.rstrip(b"\0") if is_known else dummy("CS") for value, is_known in known)
        self._write(token.encoding.element(token.tag, "CS", b"\\".join(values)))

    @staticmethod
    def _vr(token: Token, what: Rule) -> str:
        """Return the VR to judge a value by, empty when it is not the one of the dictionary."""
        if token.kind is Kind.FRAGMENTS or (token.vr == "UN" and token.encoding.big_endian):
            return ""
        if token.vr == "UN":
            return what.vrs[:2]
        return token.vr if token.vr in what.vrs else ""

    def _replace(self, token: Token, what: Rule, action: Action) -> None:
        self.actions[what.clause] += 1
        if action is Action.REMOVE:
            return
        vr = what.vrs[:2] or "UN"
        if action is Action.EMPTY:
            self._write(token.encoding.header(token.tag, vr, 0))
        elif action is Action.DUMMY and vr == "SQ":
            item = coded_item(UNKNOWN if is_code_sequence(token.tag) else None, token.encoding)
            self._write(sequence(token.tag, item, token.encoding))
        elif action is Action.DUMMY:
            self._write(token.encoding.element(token.tag, vr, dummy(vr, token.tag)))

    def _accession(self, token: Token, what: Rule) -> None:
        text = read_identifier(self._data[token.value : token.end], self.values.get(SPECIFIC_CHARACTER_SET, b""))
        self.actions[what.clause] += 1
        identities = (Identity(PseudonymKind.ACCESSION, text),) if text else ()
        self._write(Waiting(token.tag, "SH", token.encoding, identities))

    def _uids(self, token: Token, what: Rule) -> None:
        raw = self._data[token.value : token.end]
        self._count_uids(raw.count(b"\\") + 1)
        safe = [safe_uid(value) for value in raw.rstrip(b"\0 ").decode("ascii", "replace").split("\\")]
        if None in safe:
            self._replace(token, what, what.otherwise)
        elif all(isinstance(value, str) for value in safe):
            self._keep(token)
        elif Option.RETAIN_UIDS in self._options and what.clause in _RETAINS:
            self.actions[Option.RETAIN_UIDS] += 1
            self._keep(token)
        else:
            self.actions["table-e.1-1-u" if what.action is Action.REPLACE_UID else "uid"] += 1
            self._write(Waiting(token.tag, "UI", token.encoding, tuple(value for value in safe if value is not None)))
            self._different.update(value for value in safe if isinstance(value, Identity))
            self._count_uids(len(self._different))

    @staticmethod
    def _count_uids(count: int) -> None:
        if count > MOST_UIDS:
            raise DeidentificationRefused("uids", f"an instance refers to more than {MOST_UIDS} others")

    def _coded(self, token: Token, item: _CodeItem) -> None:
        raw = self._data[token.value : token.end]
        if token.tag == CODE_VALUE:
            self._write(b"")
            item.place, item.value = len(self.pieces) - 1, raw
        elif token.tag == CODING_SCHEME_DESIGNATOR:
            item.code = safe_code(item.value, raw)
            if item.code is UNKNOWN and self._options & KEEP_TEXT and is_local(item.value, raw):
                value, scheme = (part.decode("ascii").strip(" \0") for part in (item.value, raw))
                item.code = Code(value, scheme, meaning="")
            element = token.encoding.element(CODE_VALUE, "SH", item.code.value.encode("ascii"))
            if item.place is None:
                self._write(element)
            else:
                self.pieces[item.place] = element
            self._write(token.encoding.element(token.tag, "SH", item.code.scheme.encode("ascii")))
            self.actions["unknown-code"] += item.code is UNKNOWN
        elif item.code is not None:
            meaning = item.code.meaning.encode("ascii")
            if item.code.meaning in ("", item.code.value) and self._options & KEEP_TEXT:
                self.actions["code-meaning"] += 1
                stands_in = item.code.value.encode("ascii")
                self._write(
                    Unclean(token.tag, "LO", token.encoding, raw, self._character_sets[-1], otherwise=stands_in)
                )
                return
            self.actions["code-meaning"] += meaning != raw.rstrip(b" \0")
            self._write(token.encoding.element(token.tag, "LO", meaning))
