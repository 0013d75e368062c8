"""What the models look at: words and pairs of words, who said them, what was asked, and where in the encounter."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from osler.draft.extractive.statements import Candidate

_WORD: Final = re.compile(r"\[[A-Z_]+-\d+\]|[a-z0-9']+", re.IGNORECASE)
_PLACEHOLDER: Final = re.compile(r"\[([A-Z_]+)-\d+\]")


def tokens(text: str) -> list[str]:
    """Return the words of a text in lower case, placeholders by kind and numbers by their digits."""
    return [_token(word) for word in _WORD.findall(text)]


def candidate_features(all_candidates: Sequence[Candidate], index: int) -> Iterator[str]:
    """Yield the features of a candidate among its neighbours."""
    candidate = all_candidates[index]
    said, told = tokens(candidate.said), tokens(candidate.full_text)
    role = candidate.role.value[0]
    yield from (f"w:{word}" for word in said)
    yield from (f"{role}:{word}" for word in said)
    yield from (f"b:{first}_{second}" for first, second in pairwise(said))
    yield f"open:{role}:{' '.join(told[:2])}"
    yield f"open:{' '.join(told[:4])}"
    yield f"end:{' '.join(told[-2:])}"
    yield from (f"q:{word}" for word in tokens(candidate.question))
    yield f"kind:{candidate.kind}:{role}"
    yield f"place:{int(candidate.place * 12)}:{role}"
    yield f"place:{int(candidate.place * 5)}"
    yield f"length:{min(len(told) // 3, 12)}:{candidate.kind}"
    if re.search(r"\d", candidate.text):
        yield "number"
    if candidate.heading:
        yield f"heading:{candidate.heading == candidate.under}"
    for offset in (-2, -1, 1, 2):
        if 0 <= index + offset < len(all_candidates):
            neighbour = all_candidates[index + offset]
            side = "before" if offset < 0 else "after"
            yield from (f"{side}:{word}" for word in tokens(neighbour.said)[:25])


def dialogue_features(turns: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield the features of a stretch of dialogue for its topic.

    Parameters
    ----------
    turns : sequence of (str, str)
        Speaker's role and what he or she said.
    """
    length = sum(len(text.split()) for _, text in turns)
    yield f"turns:{min(len(turns), 20)}"
    yield f"length:{min(length // 15, 20)}"
    for role, text in turns:
        words = tokens(text)
        yield from (f"w:{word}" for word in words)
        yield from (f"{role[0]}:{word}" for word in words)
        yield from (f"b:{first}_{second}" for first, second in pairwise(words))
        if "?" in text:
            yield from (f"q:{word}" for word in tokens(text.rpartition("?")[0]))


def _token(word: str) -> str:
    placeholder = _PLACEHOLDER.fullmatch(word)
    if placeholder:
        return placeholder[1]
    return "#" * len(word) if word.isdigit() else word.lower()
