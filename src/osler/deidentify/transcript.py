"""A transcript without its identifiers: placeholders that are numbered over the whole conversation and lead back.

The conversation is one text to the engine, so that who was introduced at the beginning is known at the end. Unlike
the profiles of :mod:`osler.deidentify.text`, nothing is cut to the year or to three digits here: what is more exact
than Safe Harbor allows has a placeholder, since the note that is written from the transcript gets it back.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import accumulate
from typing import Final

from osler.clinical.lexicon import Kind, lexicon
from osler.deidentify.free_text import Known
from osler.deidentify.recognisers import installed_recognisers
from osler.deidentify.reversible import PLACEHOLDER, originals_of
from osler.deidentify.spoken_names import SpokenNames, repeated_names
from osler.deidentify.spoken_places import SpokenPlaces
from osler.deidentify.text import Category, Deidentifier, Document, Result, Span
from osler.deidentify.text.en.lexicon import nicknames
from osler.deidentify.text.en.wordlists import load_lexicon
from osler.deidentify.text.known import fold
from osler.deidentify.text.merge import merge
from osler.domain.transcript import DeidentifiedTranscript, DeidentifiedUtterance, Transcript, Utterance
from osler.errors import DeidentificationRefused

METHOD: Final = "placeholders"

_PAUSE: Final = "\n\n"
"""Between utterances: an empty line, over which no name and no address goes on."""

_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_DOSE: Final = re.compile(
    r"\s*\d{1,4} (?:milli|micro|kilo|nano)?(?:grams?|lit(?:er|re)s?|met(?:er|re)s?|units?|calories)\s*"
)
_VERB_TOWNS: Final = frozenset(
    """
    bear bend bright cook hire hurt mobile normal orange reading rivers settle
    """.split()  # noqa: SIM905
)
"""Towns that are words of an examination; where a place is said ("in bend") they stand as places."""

_SOUND: Final = (
    r"(?:i|i'm|a|y|n|c|k|o|or|our|like|yes|yeah|yep|yup|ya|nah|no|mm+|mm-hmm|hm+|uh+m?|u+m+|erm|o+h*|a+h+|aye|ha|haha"
    r"|gosh|ow|ouch|bye|hi|hey|hello|ok|okay|right|righty-ho|so|well|ready|lovely|pardon|fine|nice|sure)"
)
_SOUNDS: Final = re.compile(
    rf"{_SOUND}(?:[ ,.]{{1,3}}{_SOUND}){{0,4}}-?"
    r"|(?:milli|micro|deci|centi|kilo)(?:grams?|lit(?:er|re)s?|met(?:er|re)s?)|[a-z]{3,14}olog(?:y|\w{3,4})",
    re.IGNORECASE,
)
"""What the name model takes for a name now and then in speech, and what nobody is called."""

_BEFORE_NAME: Final = re.compile(rf"(?:{_SOUND}[ ,.]{{1,3}}){{1,4}}(?=\w\w)", re.IGNORECASE)
_AFTER_NAME: Final = re.compile(r" ?,? I$")
_GOES_ON: Final = re.compile(r" [a-z]|'[a-z]")
_STOP: Final = re.compile(r"(?<=[A-Za-z]{4})\.$")
_NEXT_SENTENCE: Final = re.compile(r"\s+[A-Z]|\s*$")
_OKAY: Final = re.compile(r"\bOK\b")
_PLACED: Final = re.compile(r"\b(?:in|from|near|at) $")
_COUNTED: Final = re.compile(
    r"(?:\d|two|three|four|five|six|seven|eight|nine|ten|hundred|[a-z]{2,5}ty|few|many|several|couple of) $"
)
_LABEL: Final = re.compile(r"S[0-9]{1,3}")
_ROLE_WORDS: Final = frozenset(
    """
    speaker doctor patient clinician guest nurse provider other family interpreter
    """.split()  # noqa: SIM905
)
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_NAME: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]{2,})?")


def deidentify_transcript(
    transcript: Transcript, known: Known, *, engine: Deidentifier | None = None
) -> tuple[DeidentifiedTranscript, dict[str, list[str]]]:
    """Take the identifiers out of a transcript.

    Parameters
    ----------
    transcript : Transcript
        In English, or of no stated language.
    known : mapping
        What the chart tells, as a FHIR Patient: ``name`` (patient first, then practitioners and relatives),
        ``birthDate``, ``telecom``, ``address``, ``identifier``.
    engine : Deidentifier, optional
        Another one than the process's own.

    Returns
    -------
    transcript : DeidentifiedTranscript
        The same utterances with their numbers, roles and times. One person has one placeholder throughout. Labels of
        speakers are S1, S2 and so on.
    originals : dict of str to list of str
        What stood in the place of each placeholder, in the order of the conversation: for the vault.

    Raises
    ------
    DeidentificationRefused
        If the transcript is in a language that the engine does not know, or the engine fails; nothing comes then.
    """
    if transcript.language.partition("-")[0].lower() not in ("", "en"):
        raise DeidentificationRefused("text-language", "a transcript in this language cannot be de-identified")
    people = _people(known, transcript.utterances)
    text = _PAUSE.join(one.text for one in transcript.utterances)
    starts = [0, *accumulate(len(one.text) + len(_PAUSE) for one in transcript.utterances)][:-1]
    found = _find(text, (engine or _engine()).for_patient(_told(known, people)), people)
    numbers = _Numbers(text, people)
    spans = [
        replace(s, replacement=numbers.of(s.category, text[s.start : s.end])) for s in _within(found, starts, text)
    ]
    texts = _replaced(transcript.utterances, starts, spans)
    counts = {c.value: len({s.replacement for s in spans if s.category is c}) for c in Category}
    labels = _labels(transcript.utterances)
    utterances = tuple(
        DeidentifiedUtterance(one.number, labels[one.speaker], one.role, said, one.start_s, one.end_s)
        for one, said in zip(transcript.utterances, texts, strict=True)
    )
    placeholders = {category: count for category, count in counts.items() if count}
    without = DeidentifiedTranscript(utterances, transcript.language, placeholders)
    return without, originals_of(text, Result("", tuple(spans), METHOD))


@cache
def _engine() -> Deidentifier:
    """Return a process's engine; word lists and the model are read once."""
    return Deidentifier(recognisers=installed_recognisers())


def _find(text: str, engine: Deidentifier, people: Sequence[Sequence[str]]) -> list[Span]:
    """Return the identifiers of the conversation, merged; offsets in the text."""
    document = Document(text)
    names = SpokenNames(word for person in people for word in person).spans(document)
    spoken = [_in_input(span, document) for span in (*names, *SpokenPlaces().spans(document))]
    # "Twice, OK." is no town in Oklahoma
    heard = engine.spans(_OKAY.sub("Ok", text))
    found = [tidied for span in heard if (tidied := _tidied(span, text))]
    return [_ended(span, text) for span in merge([*found, *spoken, *repeated_names([*found, *spoken], text)], text)]


def _ended(span: Span, text: str) -> Span:
    """Return a span without the full stop of its sentence, and a name without the "I" that goes on after it."""
    said, rest = text[span.start : span.end], text[span.end : span.end + 3]
    tail = _STOP.search(said) if _NEXT_SENTENCE.match(rest) else None
    if span.category is Category.NAME and _GOES_ON.match(rest):
        tail = _AFTER_NAME.search(said)
    return replace(span, end=span.start + tail.start()) if tail and tail.start() else span


def _in_input(span: Span, document: Document) -> Span:
    start, end = document.shadow.to_input(span.start, span.end)
    return replace(span, start=start, end=end)


def _tidied(span: Span, text: str) -> Span | None:
    """Return a span without what the engine took for a part of it in speech; None when no identifier is left.

    None is left of a year, a dose that reads as a telephone number, a verb that is a town, an interjection.
    """
    said = text[span.start : span.end]
    if span.category is Category.DATE and _YEAR.fullmatch(said):
        return None
    if span.rule == "phone-letters" and _DOSE.fullmatch(said.lower()):
        return None
    if span.rule == "town" and said.lower() in _VERB_TOWNS:
        return span if _PLACED.search(text[max(0, span.start - 8) : span.start].lower()) else None
    if not span.rule.startswith(("name-model", "name-last-first")):
        return span
    if _SOUNDS.fullmatch(said) or _is_drug(said):
        return None
    if said == "miles" and _COUNTED.search(text[max(0, span.start - 12) : span.start]):
        return None
    before, after = _BEFORE_NAME.match(said), _AFTER_NAME.search(said)
    return replace(
        span,
        start=span.start + (before.end() if before else 0),
        end=span.start + (after.start() if after else len(said)),
    )


def _is_drug(said: str) -> bool:
    """Tell a drug whose name nobody has: the name model does not know those of every country."""
    concept = lexicon().concept(said)
    named = any(code[0] in "gs" for word in said.lower().split() for code in load_lexicon().get(word, ()))
    return concept is not None and concept.kind is Kind.DRUG and not named


def _within(spans: Iterable[Span], starts: Sequence[int], text: str) -> Iterator[Span]:
    """Return spans that do not cross from one utterance into the next."""
    for span in spans:
        start = span.start
        while start < span.end:
            after = bisect_right(starts, start)
            end = min(span.end, starts[after] - len(_PAUSE) if after < len(starts) else len(text))
            if text[start:end].strip():
                yield replace(span, start=start, end=end)
            start = max(end + len(_PAUSE), start + 1)


class _Numbers:
    """Numbers of placeholders over one conversation.

    Parts of one name, its nicknames and its misspellings have one number; two people of one surname have two.
    """

    def __init__(self, text: str, people: Sequence[Sequence[str]]) -> None:
        self._used: dict[str, int] = {}
        for placeholder in PLACEHOLDER.findall(text):
            category, _, number = placeholder[1:-1].rpartition("-")
            self._used[category] = max(self._used.get(category, 0), int(number))
        self._people: dict[int, frozenset[str]] = {}
        self._called: dict[str, list[int]] = {}
        self._values: dict[tuple[Category, str], int] = {}
        self._formal: dict[str, str] = {}
        for person in people:
            words = frozenset(fold(word) for word in person if len(word) > 1)
            if words:
                self._person(words)
            for word in words:
                self._formal.setdefault(word, word)
        for word in tuple(self._formal):
            for other in nicknames(word):
                self._formal.setdefault(other, word)

    def of(self, category: Category, text: str) -> str:
        """Return the placeholder of a value."""
        words = frozenset(self._formal.get(word, word) for word in map(fold, _WORD.findall(text)))
        if category is Category.NAME and words:
            return f"[{category}-{self._person(words)}]"
        value = re.sub(r"[\W_]", "", text.lower())
        number = self._values.get((category, value))
        if number is None:
            number = self._values[category, value] = self._next(category)
        return f"[{category}-{number}]"

    def _person(self, words: frozenset[str]) -> int:
        for number in sorted({number for word in words for number in self._called.get(word, ())}):
            person = self._people[number]
            if words <= person or person <= words:
                self._learn(number, words - person)
                return number
        number = self._next(Category.NAME)
        self._learn(number, words)
        return number

    def _learn(self, number: int, words: frozenset[str]) -> None:
        self._people[number] = self._people.get(number, frozenset()) | words
        for word in words:
            self._called.setdefault(word, []).append(number)

    def _next(self, category: Category) -> int:
        self._used[category] = self._used.get(category, 0) + 1
        return self._used[category]


def _replaced(utterances: Sequence[Utterance], starts: Sequence[int], spans: Sequence[Span]) -> Iterator[str]:
    """Return what each utterance says with its placeholders."""
    at = 0
    for one, start in zip(utterances, starts, strict=True):
        pieces: list[str] = []
        done = 0
        while at < len(spans) and spans[at].start < start + len(one.text):
            span = spans[at]
            pieces += (one.text[done : span.start - start], span.replacement or "")
            done, at = span.end - start, at + 1
        yield "".join([*pieces, one.text[done:]])


def _people(known: Known, utterances: Sequence[Utterance]) -> list[list[str]]:
    """Return the words of the names that are known: those of the chart in their order, then speakers' labels."""
    contacts = [one.get("name") for one in known.get("contact") or () if isinstance(one, Mapping)]
    labels = dict.fromkeys(one.speaker for one in utterances if not _LABEL.fullmatch(one.speaker))
    names = [name for names in (known.get("name"), *contacts, list(labels)) for name in _each(names)]
    words = ([word for word in _NAME.findall(name) if word.lower() not in _ROLE_WORDS] for name in names)
    return [person for person in words if person]


def _each(names: object) -> Iterator[str]:
    """Yield names as texts: of FHIR HumanNames, of one, or of plain words."""
    for name in names if isinstance(names, list | tuple) else [names]:
        if isinstance(name, str):
            yield name
        elif isinstance(name, Mapping):
            given = name.get("given") or ()
            parts = [given] if isinstance(given, str) else list(given)
            whole = " ".join(map(str, [*parts, name.get("family") or ""])).strip()
            yield whole or str(name.get("text") or "")


def _told(known: Known, people: Sequence[Sequence[str]]) -> Known:
    """Return what is known with its names as the engine looks for them."""
    return {**known, "name": [{"given": list(person)} for person in people]} if people else known


def _labels(utterances: Sequence[Utterance]) -> dict[str, str]:
    """Return the label of each speaker: theirs when all are S and a number, else by order of first words."""
    given = list(dict.fromkeys(one.speaker for one in utterances))
    if all(map(_LABEL.fullmatch, given)):
        return {label: label for label in given}
    return {label: f"S{number}" for number, label in enumerate(given, 1)}
