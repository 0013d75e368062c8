"""Free text in DICOM attributes: cleaned by the text engine, and short descriptions word by word.

A description ("CT CHEST W CONTRAST") has too little around its words for a reading of sentences. In it a word goes that
the header names, that is somebody's name, or that nobody knows (:mod:`osler.deidentify.dicom.vocabulary`); and so do
numbers of five digits and more. A longer text is read by the engine, which is told what the header knows.

A word that the header names stays where it is a word of protocols ("CHEST", also when the patient is called so), unless
it stands beside another part of the same name.

References
----------
DICOM PS3.15 E.3.5 (Clean Descriptors Option), E.3.6 (Clean Structured Content); PS3.5 6.2 (lengths)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Final

from osler.deidentify.dicom.header import PLACES, READ, known_of_header, people, texts
from osler.deidentify.dicom.vocabulary import (
    fold,
    is_eponym_of,
    is_given_name,
    is_innocent,
    is_of_protocols,
    is_surname,
    is_unheard_of,
    may_be_name,
)
from osler.deidentify.recognisers import installed_recognisers
from osler.deidentify.text import Category, Deidentifier, Span
from osler.errors import DeidentificationRefused
from osler.standards.character_sets import decode, encode

__all__ = ["READ", "TextCleaner", "cleaner_for", "known_of_header"]

LENGTHS: Final = {
    "CS": 16,
    "LO": 64,
    "LT": 10_240,
    "SH": 16,
    "ST": 1024,
    "UC": 1 << 20,
    "UT": 1 << 24,
}
"""Most characters of one value; a value representation that is not here holds no text that can be cleaned."""

SHORT: Final = 80
"""A text of so many characters, on one line, is a description; so are values of LO, SH, CS and UC."""

LONGEST_DESCRIPTION: Final = 1024

_ONE_VALUE: Final = frozenset({"LT", "ST", "UT"})
_WORD: Final = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’][A-Za-z\u00c0-\u024f]+)?|[^\W\d_A-Za-z\u00c0-\u024f]+")
"""A word in Latin letters, or in letters that are none."""

_EMPTY_BRACKETS: Final = re.compile(r"\(\W*\)|\[\W*\]|\{\W*\}|<\W*>")
_ODD: Final = re.compile(r"[^\x00-\x7f\w°²³±×–—µ]")
_NOT_SEPARATED: Final = re.compile(r"[ ,.^_=/\-]{0,3}")
_DISGUISED: Final = re.compile(r"[\u0300-\u036f\u200b-\u200f\u2060\ufeff\u00ad]|(?:\b\w[ .\-_]){4,}")
_TITLE: Final = re.compile(
    r"\b(?:dr|drs|mr|mrs|ms|miss|prof|doctor|professor|sr\.|sra|herr|frau|mme)\b[. ^_-]{1,3}$", re.I
)
_MONTH: Final = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
_NUMBERED: Final = re.compile(
    r"[\w.+\-]+@[\w.\-]+"
    r"|\w+://\S+|\bwww\.\S+"
    r"|\w*\d{5,}[\w\-]*"
    r"|\b\d+(?:\.\d+){4,}"
    r"|(?:\+?\d{1,3}[-. ])?\(?\b\d{3}\)?[-. ]{0,2}\d{3}[-. ]\d{4}\b|\b\d{3}[-.]\d{4}\b|\b\d{3}-\d\d-\d{4}\b"
    r"|\b\d{1,2}([/.\-])\d{1,2}\1(?:\d{4}|\d{2})\b|\b(?:19|20)\d\d([/.\-])\d{1,2}(?:\2\d{1,2})?\b"
    r"|\b\d{4}-\d{3,4}\b"
    rf"|\b\d{{1,2}}[-./ ]?{_MONTH}(?:[-./, ]{{0,2}}(?:\d{{4}}|\d{{2}}))?\b"
    rf"|\b{_MONTH}[-./ ]{{0,2}}\d{{1,2}}(?:[-./, ]{{1,2}}\d{{2,4}})?\b"
    r"|\b(?:mrn|id|pid|acc(?:ession)?|ssn|dob|born|tel|phone|ph|fax|room|rm|case|order|visit)(?:\s?(?:no|nr))?[\W_]{0,3}"
    r"\d[\w\-/.]*|#\s?\w*\d[\w\-]*",
    re.IGNORECASE,
)
_EDGES: Final = " \t,;:_^=-/\\.#&@|+"
_LOOSE_STOP: Final = re.compile(r"\s*\.+$")
_ROUNDS: Final = 4
_REMEMBERED: Final = 2048


class TextCleaner:
    """Cleans the texts of one header's instance.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of :data:`READ`.
    """

    def __init__(self, values: Mapping[int, bytes]) -> None:
        self._values = dict(values)
        self._cleaned: dict[tuple[bytes, str, bytes], bytes] = {}

    def value(self, raw: bytes, *, vr: str, character_set: bytes) -> bytes:
        """Clean the value of one element.

        Parameters
        ----------
        raw : bytes
            As encoded, with its padding.
        vr : str
            CS, LO, LT, SH, ST, UC or UT; of any other nothing is left.
        character_set : bytes
            Specific Character Set (0008,0005) that holds for the element, as it stands.

        Returns
        -------
        bytes
            In the same character set, without padding, cut to the length of the value representation. Empty when
            nothing of it may stay, as when its bytes are not in its character set.
        """
        key = (raw, vr, character_set)
        if key not in self._cleaned:
            if len(self._cleaned) >= _REMEMBERED:
                self._cleaned.clear()
            self._cleaned[key] = self._value(raw, vr, character_set)
        return self._cleaned[key]

    def text(self, text: str) -> str:
        """Clean a text; empty when nothing of it may stay."""
        if len(text) <= SHORT and "\n" not in text:
            return self._of_one_line(text)
        try:
            cleaned = self._prose(text)
            return self._of_one_line(cleaned) if len(cleaned) <= SHORT and "\n" not in cleaned else cleaned
        except DeidentificationRefused:  # the engine failed on it: nothing of it is known to be safe
            return ""

    def _of_one_line(self, text: str) -> str:
        try:
            return self._description(text) if len(text) <= LONGEST_DESCRIPTION else ""
        except DeidentificationRefused:
            return ""

    def _value(self, raw: bytes, vr: str, character_set: bytes) -> bytes:
        most = LENGTHS.get(vr)
        text = decode(raw, character_set) if most else None
        if most is None or not text or not text.strip():
            return b""
        values = [text] if vr in _ONE_VALUE else text.split("\\")
        cleaned = [self.text(value) if vr in _ONE_VALUE else self._of_one_line(value) for value in values]
        if cleaned == values and all(len(value) <= most for value in values):
            return raw.rstrip(b" \0")
        if not any(cleaned):
            return b""
        return encode("\\".join(_cut(value, most) for value in cleaned), character_set)

    # ------------------------------------------------------------------------------------------ what is known

    @cached_property
    def _engine(self) -> Deidentifier:
        return _engine().for_patient(known_of_header(self._values) or None)

    @cached_property
    def _people(self) -> list[list[str]]:
        return [[fold(word) for word in words] for words in people(self._values)]

    @cached_property
    def _named(self) -> frozenset[str]:
        """Words of the header's names, and those of its places that are no ordinary word."""
        names = {word for words in self._people for word in words if len(word) > 1}
        places = {word for tag in PLACES for value in texts(self._values, tag) for word in _WORD.findall(value)}
        return frozenset(names | {fold(word) for word in places if len(word) > 2 and not is_innocent(word)})

    @cached_property
    def _run_together(self) -> frozenset[str]:
        """Two or more words of one name with nothing between them; in scripts without spaces each word of a name."""
        pairs = {a + b for words in self._people for a in words for b in words if a != b and len(a + b) > 4}
        return frozenset(pairs | {word for word in self._named if not word.isascii() and len(word) > 1})

    def _is_named(self, word: str) -> bool:
        low = fold(word)
        stem = low[:-2] if low.endswith(("'s", "’s")) else low
        return stem in self._named or any(pair in low for pair in self._run_together)

    # ------------------------------------------------------------------------------------------ descriptions

    def _description(self, text: str) -> str:
        """Take out of a description what may tell of somebody; again until nothing more goes."""
        for _ in range(_ROUNDS):
            cleaned = self._without(text)
            if cleaned == text:
                return text
            text = cleaned
        return ""

    def _without(self, text: str) -> str:
        if _DISGUISED.search(text):
            return ""
        gone = bytearray(len(text))
        for match in (*_NUMBERED.finditer(text), *_ODD.finditer(text)):
            gone[match.start() : match.end()] = b"\1" * len(match[0])
        words = list(_WORD.finditer(text))
        suspects = self._suspects(text, words)
        for span in self._engine.spans(text):
            inside = [i for i, word in enumerate(words) if span.start < word.end() and word.start() < span.end]
            if span.category in (Category.NAME, Category.LOCATION):
                suspects.update(i for i in inside if not _is_protocol(words[i]))
            elif not _is_harmless(text, span):
                gone[span.start : span.end] = b"\1" * (span.end - span.start)
        for i in suspects:
            gone[words[i].start() : words[i].end()] = b"\1" * len(words[i][0])
        return _closed_up(text, gone) if any(gone) else text

    def _suspects(self, text: str, words: Sequence[re.Match[str]]) -> set[int]:
        """Return which words are, or may be, of a name."""
        named = [self._is_named(word[0]) for word in words]
        suspects = {
            i
            for i, word in enumerate(words)
            if (named[i] and (not _is_protocol(word) or self._beside(text, words, named, i)))
            or (not named[i] and not _is_ordinary(text, words, i))
        }
        for step in (1, -1):
            for i in sorted(suspects, reverse=step < 0):
                at = i + step
                while 0 <= at < len(words) and at not in suspects and _touch(text, words, at, at - step):
                    if not _goes_with(words, at, at - step):
                        break
                    suspects.add(at)
                    at += step
        return suspects

    def _beside(self, text: str, words: Sequence[re.Match[str]], named: Sequence[bool], i: int) -> bool:
        """Tell whether another word of the same name stands next to a word of it."""
        low = fold(words[i][0])
        for at in (i - 1, i + 1):
            if 0 <= at < len(words) and named[at] and _touch(text, words, i, at):
                other = fold(words[at][0])
                if other != low and any(low in name and other in name for name in self._people):
                    return True
        return False

    # ------------------------------------------------------------------------------------------ longer texts

    def _prose(self, text: str) -> str:
        """Clean a text of sentences: identifiers become typed placeholders, words that nobody knows are left out."""
        cleaned = self._engine.deidentify(text).text
        gone = bytearray(len(cleaned))
        for word in _WORD.finditer(cleaned):
            beside = cleaned[max(0, word.start() - 1) : word.start()]
            if beside != "[" and (
                is_unheard_of(_stem(word[0])) or (self._is_named(word[0]) and not _is_protocol(word))
            ):
                gone[word.start() : word.end()] = b"\1" * len(word[0])
        return _closed_up(cleaned, gone) if any(gone) else cleaned


def cleaner_for(values: Mapping[int, bytes]) -> TextCleaner:
    """Return the cleaner of an instance; instances of one patient and visit share it, and what it has cleaned.

    Parameters
    ----------
    values : mapping of tag to raw value
        Attributes of :data:`READ` that the dataset has; others are not looked at.
    """
    return _cleaner(tuple(sorted((tag, bytes(value)) for tag, value in values.items() if tag in READ)))


@lru_cache(maxsize=8)
def _cleaner(values: tuple[tuple[int, bytes], ...]) -> TextCleaner:
    return TextCleaner(dict(values))


@lru_cache(maxsize=1)
def _engine() -> Deidentifier:
    return Deidentifier(recognisers=installed_recognisers())


def _stem(word: str) -> str:
    return word[:-2] if word.lower().endswith(("'s", "’s")) else word


def _is_ordinary(text: str, words: Sequence[re.Match[str]], i: int) -> bool:
    """Tell whether a word is no name where it stands; what no title goes before, and no list of names has, is none."""
    word = words[i][0]
    if _is_protocol(words[i]):
        return True
    if len(word) > 1 and _TITLE.search(text, 0, words[i].start()):
        return False
    return is_innocent(_stem(word)) or (i + 1 < len(words) and is_eponym_of(_stem(word), words[i + 1][0]))


def _is_protocol(word: re.Match[str]) -> bool:
    return is_of_protocols(word[0])


def _is_initial(words: Sequence[re.Match[str]], at: int) -> bool:
    return len(words[at][0]) == 1 and words[at][0].isupper() and words[at][0] not in "LR"


def _goes_with(words: Sequence[re.Match[str]], at: int, other: int) -> bool:
    """Tell whether a word goes on a name beside it."""
    word, name = words[at][0], words[other][0]
    return may_be_name(word) or _is_initial(words, at) or (is_given_name(name) and is_surname(word))


def _touch(text: str, words: Sequence[re.Match[str]], a: int, b: int) -> bool:
    first, second = sorted((a, b))
    return _NOT_SEPARATED.fullmatch(text, words[first].end(), words[second].start()) is not None


def _is_harmless(text: str, span: Span) -> bool:
    """Tell whether what the engine found is a year, or words of a protocol without a number."""
    found = text[span.start : span.end]
    if re.fullmatch(r"(?:19|20)\d\d", found):
        return True
    return span.rule != "known" and not any(map(str.isdigit, found)) and all(map(_is_protocol, _WORD.finditer(found)))


def _closed_up(text: str, gone: bytearray) -> str:
    """Leave out what is marked, and the separators that then stand alone."""
    left = _EMPTY_BRACKETS.sub("", "".join(_pieces(text, gone))).lstrip(_EDGES).rstrip(_EDGES.replace(".", ""))
    return _LOOSE_STOP.sub(".", left)


def _pieces(text: str, gone: bytearray) -> Iterator[str]:
    at = 0
    for run in re.finditer(rb"\x01+", bytes(gone)):
        left = text[at : run.start()]
        at = run.end()
        if left:
            yield left.rstrip(" ") + " "
        if text[at : at + 1] in (" ", "'", "’"):
            at += text.startswith(" ", at)
    yield text[at:]


def _cut(value: str, most: int) -> str:
    """Return as many whole words of a value as it may hold: half a word may be another word."""
    value = value.strip() if len(value) > most else value.rstrip()
    if len(value) <= most:
        return value
    head = value[:most]
    return head.rstrip() if value[most].isspace() else head[: len(head) - len(head.split()[-1])].rstrip()
