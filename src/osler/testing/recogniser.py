"""The contract test of recognisers: authors run it in their tests, and so do we."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from osler.deidentify.text import Category, Document, Recogniser, Span
from osler.errors import ContractViolation, OslerError
from osler.registry.boundary import call

_SECONDS: Final = 1.0
_LARGE: Final = 200_000
"""Code points of the long texts; each must be read in :data:`_SECONDS`."""


def check_recogniser(
    make: Callable[[], Recogniser], *, finds: Sequence[tuple[str, str]], leaves: Sequence[str] = ()
) -> None:
    """Check a recogniser against the contract of the group ``osler.recognisers``.

    Checked are that it finds what its author says and nothing in the texts to be left; that offsets lie within the
    shadow text, and category, score and rule are what they must be; that it says the same when asked again; that it
    raises nothing on hostile text; and that texts of 200,000 characters take less than a second each.

    Parameters
    ----------
    make : callable
        What the entry point names.
    finds : sequence of (text, identifier in it)
        At least one.
    leaves : sequence of str
        Texts in which it finds nothing.

    Raises
    ------
    ContractViolation
        With all that is wrong, one problem a line.
    """
    if not finds:
        raise ContractViolation("give check_recogniser at least one text with what is to be found in it")
    recogniser = make()
    problems: list[str] = []
    for number, (text, wanted) in enumerate(finds, 1):
        shadow = Document(text).shadow.text
        found = [shadow[span.start : span.end] for span in _asked(recogniser, text, "finds", problems)]
        if wanted not in found:
            problems.append(f"finds {number}: the identifier is not found")
    for number, text in enumerate(leaves, 1):
        if _asked(recogniser, text, "leaves", problems):
            problems.append(f"leaves {number}: something is found")
    words = [word for text, _ in finds for word in (text, text[:-1])]
    for name, text in _hostile(words):
        _asked(recogniser, text, name, problems)
    if problems:
        raise ContractViolation("\n".join(dict.fromkeys(problems)))


def _asked(recogniser: Recogniser, text: str, name: str, problems: list[str]) -> list[Span]:
    document = Document(text)
    began = time.process_time()
    try:
        spans = call("spans", lambda: list(recogniser.spans(document)))
        took = time.process_time() - began
        again = spans if len(text) > _LARGE // 2 else call("spans", lambda: list(recogniser.spans(document)))
    except OslerError as error:
        problems.append(f"{name}: {error}")
        return []
    if took > _SECONDS:
        problems.append(f"{name}: it takes {took:.1f} s for {len(text)} characters")
    if spans != again:
        problems.append(f"{name}: it answers differently when asked again")
    problems.extend(f"{name}: {wrong}" for span in spans for wrong in _wrong(span, document))
    return [span for span in spans if isinstance(span, Span)]


def _wrong(span: Span, document: Document) -> Iterator[str]:
    if not isinstance(span, Span):
        yield "what it returns is not a Span"
        return
    if not 0 <= span.start < span.end <= len(document.shadow.text):
        yield "a span lies outside of the text, or is empty"
    if not isinstance(span.category, Category):
        yield "a span's category is not a Category"
    if not 0.0 < span.score <= 1.0:
        yield "a span's score is not above 0 and up to 1"
    if not span.rule or span.rule != span.rule.lower() or " " in span.rule:
        yield "a span's rule is not in kebab-case"
    if span.replacement is not None:
        yield "a span has a replacement: profiles alone write them"


def _hostile(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "empty text", ""
    yield "blank text", " \n\t\N{ZERO WIDTH SPACE}\N{NO-BREAK SPACE}"
    yield "control characters", "\0\x1b[2J\r\n\ud800\U0010ffff" * 50
    yield "combining marks", "e\N{COMBINING ACUTE ACCENT}" * 5_000
    yield "text from right to left", "\N{RIGHT-TO-LEFT OVERRIDE}מטופל 123 المريض ١٢٣" * 200
    for name, piece in (("letters", "a "), ("digits", "1"), ("digits and blanks", "1 "), ("hyphens", "-")):
        yield f"long text of {name}", piece * (_LARGE // len(piece))
    for number, word in enumerate(words, 1):
        yield f"long text of example {number}", (word + " ") * (_LARGE // 10 // (len(word) + 1))
        yield f"example {number} without blanks", word.replace(" ", "") * (_LARGE // 10 // max(1, len(word)))
