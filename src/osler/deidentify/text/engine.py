"""The engine: shadow, recognisers, merge, profile. It knows no language; each language has its own folder."""

import importlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, Protocol, cast

from osler.deidentify.text.merge import merge, repeated
from osler.deidentify.text.shadow import MASK, Shadow, make_shadow
from osler.deidentify.text.spans import Span
from osler.errors import ConfigError, DeidentificationRefused

LANGUAGES: Final = ("en",)
SECONDS: Final = 2.0
SECONDS_PER_CODE_POINT: Final = 50e-6
"""Processor time that a text may take: so much, and so much more for each code point (five times what it needs)."""

_UNMASKED: Final = re.compile(rf"[^\s{MASK}](?:[^{MASK}]*[^\s{MASK}])?")
_TOKEN: Final = re.compile(r"\w+|[^\w\s]")


class Token(NamedTuple):
    """A word, or one other visible character, of the shadow."""

    text: str
    start: int
    end: int


class Document:
    """What a recogniser is given.

    Parameters
    ----------
    text : str
        The input.
    language : str
        BCP 47 tag of the language.

    Attributes
    ----------
    shadow : Shadow
    """

    def __init__(self, text: str, language: str = "en") -> None:
        self.text = text
        self.language = language
        self.shadow: Shadow = make_shadow(text)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Words and single punctuation marks of the shadow, in order."""
        text = self.shadow.text
        starts = [match.start() for match in _TOKEN.finditer(text)]
        words = zip(_TOKEN.findall(text), starts, strict=True)
        return tuple([Token(word, start, start + len(word)) for word, start in words])


class Recogniser(Protocol):
    """Finds identifiers. It may add spans, never remove one; its offsets are those of the shadow text."""

    def spans(self, document: Document) -> Iterable[Span]:
        """Return identifiers in any order; they may overlap."""
        ...


class Language(Protocol):
    """What a language's folder brings, as functions of its package."""

    def recognisers(self) -> tuple[Recogniser, ...]:
        """Return the language's recognisers; made once for a :class:`Deidentifier`."""
        ...

    def is_vocabulary(self, word: str) -> bool:
        """Tell whether a lower-case word is an ordinary or clinical word, so that a name alike proves little."""
        ...

    def known(self, context: Mapping[str, Any]) -> Recogniser:
        """Return a recogniser of the identifiers that a context (a FHIR Patient, or a plain object) tells."""
        ...

    def replacer(self, method: str, key: bytes | None, subject: str) -> "Replacer":
        """Return what writes the replacements of a method; with a key, the same each time for the same subject."""
        ...


class Replacer(Protocol):
    """A profile: what stands in the place of each identifier."""

    def replace(self, document: Document, spans: Sequence[Span]) -> Iterable[Span]:
        """Return the spans (offsets in the shadow) that the method takes out, with their replacements."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """A text without its identifiers.

    Parameters
    ----------
    text : str
    spans : tuple of Span
        What was replaced; offsets in the input.
    method : str
        Name of the method that was applied.
    """

    text: str
    spans: tuple[Span, ...]
    method: str

    def to_json(self) -> dict[str, object]:
        """Return the result as commands print it."""
        return {"text": self.text, "method": self.method, "spans": [span.to_json() for span in self.spans]}


class Deidentifier:
    """Finds and replaces the identifiers of texts in one language, by one method.

    Parameters
    ----------
    language : str
        One of :data:`LANGUAGES`.
    method : str
        ``safe-harbor`` (45 CFR 164.514(b)(2)), ``limited-data-set`` (164.514(e)) or ``surrogates``.
    context : mapping or None
        What is known of the patient: a FHIR Patient, or a plain object of names, dates and numbers.
    recognisers : sequence of Recogniser
        More of them, after the language's own.
    key : bytes or None
        With it, shifts and surrogates are the same each time for the same context; without, fresh each time.

    Raises
    ------
    ConfigError
        If the language or the method is unknown.
    """

    def __init__(
        self,
        language: str = "en",
        method: str = "safe-harbor",
        *,
        context: Mapping[str, Any] | None = None,
        recognisers: Sequence[Recogniser] = (),
        key: bytes | None = None,
    ) -> None:
        if language not in LANGUAGES:
            raise ConfigError(f"text of this language cannot be de-identified; there is {', '.join(LANGUAGES)}")
        self._language = cast(Language, importlib.import_module(f"osler.deidentify.text.{language}"))
        self._tag = language
        self._key = key
        self._of_patient = False
        self.method = method
        self._recognisers = (*self._language.recognisers(), *recognisers)
        self._know(context)

    def for_patient(self, context: Mapping[str, Any] | None, *, key: bytes | None = None) -> "Deidentifier":
        """Return the same for another patient; word lists and models are shared, so that it costs nothing.

        With the patient's own `key`, shift and surrogates come of it alone, whatever the context tells.
        """
        other = copy(self)
        if key is not None:
            other._key, other._of_patient = key, True
        other._know(context)
        return other

    def _know(self, context: Mapping[str, Any] | None) -> None:
        subject = json.dumps(context, sort_keys=True, default=str) if context and not self._of_patient else ""
        self._replacer = self._language.replacer(self.method, self._key, subject)
        self._known = (self._language.known(context),) if context else ()

    def spans(self, text: str) -> list[Span]:
        """Find identifiers.

        Returns
        -------
        list of Span
            In order, not overlapping; offsets in the input, without replacements.

        Raises
        ------
        DeidentificationRefused
            If a recogniser fails or takes too long; the message quotes nothing of the text.
        """
        document = Document(text, self._tag)
        return [_in_input(document.shadow, span) for span in self._find(document)]

    def deidentify(self, text: str) -> Result:
        """Find identifiers and replace them.

        Raises
        ------
        DeidentificationRefused
            As :meth:`spans`. There is no partial result.
        """
        document = Document(text, self._tag)
        found = self._find(document)
        spans = tuple(_in_input(document.shadow, span) for span in self._replacer.replace(document, found))
        pieces: list[str] = []
        at = 0
        for span in spans:
            pieces += (text[at : span.start], span.replacement or "")
            at = span.end
        return Result("".join([*pieces, text[at:]]), spans, self.method)

    def _find(self, document: Document) -> list[Span]:
        deadline = time.thread_time() + SECONDS + SECONDS_PER_CODE_POINT * len(document.text)
        spans: list[Span] = []
        if not document.shadow.text.strip():
            return spans
        for recogniser in (*self._known, *self._recognisers):
            spans.extend(_guarded(recogniser, document, deadline))
        if MASK in document.shadow.text:
            spans = [part for span in spans for part in _around_placeholders(span, document.shadow.text)]
        shadow = document.shadow
        merged = merge(spans, shadow.text)
        return merge([*merged, *repeated(merged, shadow, self._language.is_vocabulary)], shadow.text)


def _guarded(recogniser: Recogniser, document: Document, deadline: float) -> Iterator[Span]:
    name = type(recogniser).__name__
    try:
        for span in recogniser.spans(document):
            if not 0 <= span.start < span.end <= len(document.shadow.text):
                raise DeidentificationRefused("text-span", f"{name} returned a span outside of the text")
            yield span
            if time.thread_time() > deadline:
                break
    except DeidentificationRefused:
        raise
    except Exception as error:  # a recogniser may be a plugin: whatever it raises may quote the text, and must not pass
        reason = f"{name} failed: {type(error).__name__}"
        raise DeidentificationRefused("text-recogniser", reason) from None
    if time.thread_time() > deadline:
        raise DeidentificationRefused("text-time", f"{name} took longer than the text's length allows")


def _around_placeholders(span: Span, text: str) -> Iterator[Span]:
    for part in _UNMASKED.finditer(text, span.start, span.end):
        yield replace(span, start=part.start(), end=part.end())


def _in_input(shadow: Shadow, span: Span) -> Span:
    if shadow.starts is None:
        return span
    start, end = shadow.to_input(span.start, span.end)
    return replace(span, start=start, end=end)


def deidentify_text(text: str, *, method: str = "safe-harbor", context: Mapping[str, Any] | None = None) -> str:
    """Return an English text without its identifiers; for more than one text make a :class:`Deidentifier`."""
    return Deidentifier(method=method, context=context).deidentify(text).text
