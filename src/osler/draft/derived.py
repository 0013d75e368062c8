"""What is derived from a checked draft for other readers: sentences that each name the statements they come from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from osler.domain.note import Checked, Statement, Topic


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and the ids of the statements that it says.

    Parameters
    ----------
    text : str
        With placeholders, as the statements have them.
    statements : tuple of str
        Never empty.
    """

    text: str
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a summary or a letter under its head."""

    title: str
    sentences: tuple[Sentence, ...]


def passed(checked: Checked, topics: Iterable[Topic]) -> Iterator[Statement]:
    """Yield the statements of some topics that may be signed, in the order of the topics, each text once."""
    seen: set[str] = set()
    for topic in topics:
        for statement in checked.draft.statements():
            if statement.topic is topic and checked.passes(statement) and statement.text not in seen:
                seen.add(statement.text)
                yield statement


def as_sentence(text: str) -> str:
    """Return a text with a capital at its beginning and a mark at its end."""
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", ".\u201d", '."')) else f"{text}."
