"""Number words: cardinals, the way people say pressures and years, decimals, ordinals, once and twice."""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Final

from osler.draft.facts.tables import table

_SCALE: Final = {"hundred": 100, "thousand": 1000, "million": 1000000}
_TIMES: Final = {"once": 1, "twice": 2, "thrice": 3, "couple": 2, "dozen": 12}
_OH: Final = frozenset({"oh", "o"})
SUFFIXES: Final = frozenset({"st", "nd", "rd", "th"})
_LONGEST: Final = 10
HALVES: Final = {"half": Fraction(1, 2), "quarter": Fraction(1, 4)}
ARTICLES: Final = frozenset({"a", "an"})


@lru_cache(maxsize=1)
def small() -> dict[str, int]:
    """Return the number words below twenty."""
    return {word: value for value, word in enumerate(table()["small_numbers"].split())}


@lru_cache(maxsize=1)
def tens() -> dict[str, int]:
    """Return the number words for the tens."""
    return {word: 10 * value for value, word in enumerate(table()["tens"].split(), start=2)}


@lru_cache(maxsize=1)
def _cardinals() -> dict[str, int]:
    return {**small(), **tens()}


@lru_cache(maxsize=1)
def ordinals() -> dict[str, int]:
    """Return the ordinals from first to twelfth."""
    return {word: value for value, word in enumerate(table()["ordinals"].split(), start=1)}


def digits(texts: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    """Read a number written in digits; ``(value, end)``, or None when none stands there."""
    if texts[at] == "point" and at + 1 < len(texts) and _is_whole(texts[at + 1]):
        return Fraction(f"0.{texts[at + 1]}"), at + 2
    if not (texts[at][0].isascii() and texts[at][0].isdigit()):
        return None
    value, end = _value(texts[at]), at + 1
    if end < len(texts) and texts[end] in _SCALE:
        return value * _SCALE[texts[end]], end + 1
    if end + 1 < len(texts) and texts[end] == "point" and _is_whole(texts[end + 1]) and value.denominator == 1:
        return Fraction(f"{value}.{texts[end + 1]}"), end + 2
    return value, end + (end < len(texts) and texts[end] in SUFFIXES)


@lru_cache(maxsize=4096)
def _value(text: str) -> Fraction:
    return Fraction(text)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit()


def spelled(texts: Sequence[str], at: int) -> tuple[list[Fraction], int, bool]:
    """Read number words.

    Returns
    -------
    readings : list of Fraction
        The likeliest first; empty when no number stands there.
    end : int
    sure : bool
        False where the word may mean something else.
    """
    word = texts[at]
    following = texts[at + 1] if at + 1 < len(texts) else ""
    if word in _TIMES:
        return [Fraction(_TIMES[word])], at + 1 + (word == "couple" and following == "of"), word in ("twice", "thrice")
    if word in ARTICLES and following not in _SCALE:
        return _article(texts, at)
    run, end = _run(texts, at)
    if not run:
        return [], at + 1, False
    return _readings(run), end, run != ["one"]


def _article(texts: Sequence[str], at: int) -> tuple[list[Fraction], int, bool]:
    following = texts[at + 1] if at + 1 < len(texts) else ""
    if following in _TIMES:
        return spelled(texts, at + 1)
    if following in HALVES:
        return [HALVES[following]], at + 2, False
    return [Fraction(1)], at + 1, False


def _run(texts: Sequence[str], at: int) -> tuple[list[str], int]:
    run: list[str] = []
    place = at
    while place < len(texts) and len(run) < _LONGEST:
        word = texts[place]
        after = texts[place + 1] if place + 1 < len(texts) else ""
        if after in _SCALE and after in run:
            break
        if word in _cardinals() or (word in _SCALE and run) or (word in ARTICLES and not run and after in _SCALE):
            run.append("one" if word in ARTICLES else word)
        elif (word == "point" and _starts(after)) or (run and word in _OH and after in small()):
            run.append("point" if word == "point" else "zero")
        elif not (run and _is_glue(word, run[-1]) and after in _cardinals()):
            break
        place += 1
    return run, place


def _starts(word: str) -> bool:
    return word in small() or word in tens()


def _is_glue(word: str, before: str) -> bool:
    return (word == "and" and before in _SCALE) or (word == "-" and before in tens())


def _readings(run: list[str]) -> list[Fraction]:
    if "point" in run:
        cut = run.index("point")
        whole = _whole(run[:cut])[0] if cut else 0
        fraction = "".join(str(_cardinals().get(word, "")) for word in run[cut + 1 :])
        return [Fraction(f"{whole}.{fraction}")] if fraction else [Fraction(whole)]
    return [Fraction(value) for value in _whole(run)]


def _whole(run: list[str]) -> list[int]:
    if any(word in _SCALE for word in run):
        total = current = 0
        for word in run:
            if word == "hundred":
                current = (current or 1) * 100
            elif word in _SCALE:
                total, current = total + (current or 1) * _SCALE[word], 0
            else:
                current += _cardinals()[word]
        return [total + current]
    chunks = _chunks(run)
    return chunks if len(chunks) == 1 else [_run_together(chunks), *chunks]


def _chunks(run: list[str]) -> list[int]:
    chunks: list[int] = []
    for before, word in zip(["", *run], run, strict=False):
        value = _cardinals()[word]
        if before in tens() and 0 < value < 10:
            chunks[-1] += value
        else:
            chunks.append(value)
    return chunks


def _run_together(chunks: list[int]) -> int:
    """Read "one twenty" as 120, "nineteen ninety five" as 1995, "one oh five" as 105."""
    return int("".join(f"{chunk}" for chunk in chunks))
