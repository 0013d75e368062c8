"""Features of the name model: what a word looks like, what the lists say of it, and the words around it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from osler.deidentify.text.en.wordlists import Lexicon
from osler.deidentify.text.engine import Token

REACH: Final = 2
"""How many tokens before and after a candidate the model looks at."""

LONGEST: Final = 120
"""Tokens in the longest window, so that time and memory stay linear in the text."""

_NEVER: Final = frozenset(
    (  # noqa: SIM905  sixty words, one a line, would hide the code
        "a an and are as at be been but by did for from had has have he her him his i if in is it its me my no not "
        "of on or our she so than that the their them then there they this to up us was we were what when which "
        "who with you your "
    ).split()
)
_MEDICAL: Final = frozenset("mdo")
_CLINICAL: Final = frozenset("aedmo")
_MARGIN: Final = "\n"
_SITE_JOINS: Final = frozenset({"of", "the", "and", "for", "&", ".", "on", "at"})


class Featurizer:
    """Turns tokens into windows around words that may be names, and windows into features.

    Parameters
    ----------
    lexicon : mapping of str to tuple of str
    towns : mapping of str to str
        The gazetteer, `load_places`.
    hidden : set of str
        Words (lower case) to treat as unknown to the lists; training hides some names so that the model learns to
        do without.
    """

    def __init__(self, lexicon: Lexicon, towns: Mapping[str, str], hidden: frozenset[str] = frozenset()) -> None:
        self._lexicon = lexicon
        self._towns = towns
        self._hidden = hidden
        self._words: dict[str, _Word] = {}

    def windows(self, tokens: Sequence[Token], case: str) -> Iterator[tuple[int, int]]:
        """Return ranges of tokens, apart from each other, that hold every candidate and its surroundings.

        In a text without capitals "clinic" and "road" are candidates too: the words before them may name one.
        """
        lower = case == "L"
        start = end = -1
        after_title = False
        for position, token in enumerate(tokens):
            word = self._word(token.text)
            if word.candidate or (lower and word.names_site) or (after_title and word.alphabetic):
                if end < 0 or position - REACH > end or position - start > LONGEST:
                    if end > 0:
                        yield start, end
                    start = max(position - REACH, end, 0)
                end = min(position + REACH + 1, len(tokens))
            after_title = word.calls or (after_title and token.text == ".")
        if end > 0:
            yield start, end

    def features(self, text: str, tokens: Sequence[Token], start: int, end: int, case: str) -> list[list[str]]:
        """Return the features of tokens `start` to `end`; `case` is the document's, see `case_of`."""
        words = [
            self._word(tokens[i].text) if 0 <= i < len(tokens) else self._word(_MARGIN)
            for i in range(start - REACH, end + REACH + 1)
        ]
        rows: list[list[str]] = []
        for i in range(start, end):
            at = i - start + REACH
            word, before, after = words[at], words[at - 1], words[at + 1]
            row = [
                *word.own,
                *before.before,
                *after.after,
                *words[at - 2].before2,
                *words[at + 2].after2,
                f"h{word.kind}{_head(words, at)}",
                f"{case}{word.shape}{word.classes}",
                f"{before.lower}|{word.kind}",
                f"{word.kind}|{after.lower}",
                f"{before.kind}<{word.kind}>{after.kind}",
                f"{words[at - 2].lower}|{before.lower}|{word.shape}",
                f"{word.shape}|{after.lower}|{words[at + 2].lower}",
            ]
            if site := _site(words, at):
                row += (f"b{site}", f"b{site}{word.shape}", f"b{site}{word.classes}")
            if i > 0 and f"{before.lower} {word.lower}" in self._towns:
                row.append("qq1")
            if i + 1 < len(tokens) and f"{word.lower} {after.lower}" in self._towns:
                row.append("qq0")
            left = i > 0 and tokens[i - 1].end == tokens[i].start
            right = i + 1 < len(tokens) and tokens[i].end == tokens[i + 1].start
            if left or right:
                row.append(f"{'<' * left}{'>' * right}{word.shape}{before.mark}{after.mark}")
            if not left and (i == 0 or "\n" in text[tokens[i - 1].end : tokens[i].start]):
                row.append("line")
            if not right and (i + 1 == len(tokens) or "\n" in text[tokens[i].end : tokens[i + 1].start]):
                row.append("eol")
            rows.append(row)
        return rows

    def is_clinical(self, tokens: Sequence[Token], i: int) -> bool:
        """Tell whether a word also has a clinical meaning, is no common given name, and follows no title."""
        return self._word(tokens[i].text).clinical and not self.is_called(tokens, i)

    def is_called(self, tokens: Sequence[Token], i: int) -> bool:
        """Tell whether a word follows a title, a word of kin or a label."""
        before = i - 2 if i > 1 and tokens[i - 1].text == "." else i - 1
        return before >= 0 and self._word(tokens[before].text).calls

    @property
    def size(self) -> int:
        """Number of spellings remembered."""
        return len(self._words)

    def _word(self, text: str) -> "_Word":
        word = self._words.get(text)
        if word is None:
            lower = text.lower()
            known = lower not in self._hidden
            codes = self._lexicon.get(lower, ()) if known else ()
            word = self._words[text] = _Word(text, lower, codes, self._towns.get(lower, "") if known else "")
        return word


class _Word:
    """What is known of a word wherever it stands; computed once for each spelling in a text."""

    __slots__ = (
        "after",
        "after2",
        "alphabetic",
        "before",
        "before2",
        "calls",
        "candidate",
        "classes",
        "clinical",
        "heads",
        "kind",
        "lower",
        "mark",
        "names_site",
        "own",
        "shape",
        "stops",
    )

    def __init__(self, text: str, lower: str, codes: tuple[str, ...], town: str) -> None:
        self.lower = lower
        self.names_site = "b" in codes
        self.shape = _shape(text)
        self.alphabetic = text[0].isalpha()
        self.classes = "".join(codes) if codes else ("?" if self.alphabetic else "")
        self.kind = self.shape + _kind(codes)
        self.calls = not {"t", "k", "l"}.isdisjoint(codes)
        self.clinical = not _CLINICAL.isdisjoint(codes) and {"g0", "g1"}.isdisjoint(codes)
        self.candidate = _may_be_name(text, lower, codes)
        self.own = (
            f"w={lower}",
            f"s={lower[-3:]}",
            f"p={lower[:3]}",
            f"k={self.kind}",
            f"c={self.classes}",
            f"n={min(len(text), 8)}{self.shape}",
            *(f"c1={code}{self.shape}" for code in codes),
            *((f"q={town}{self.shape}",) if town else ()),
        )
        self.before = (f"-1={lower}", f"-k={self.kind}")
        self.after = (f"+1={lower}", f"+k={self.kind}")
        self.before2 = (f"-2={lower}", f"-2k={self.kind}")
        self.after2 = (f"+2={lower}", f"+2k={self.kind}")
        self.mark = "" if text[0].isalnum() else lower
        self.heads = "h" in codes
        self.stops = self.mark not in {"", "'", "-"} or (self.shape in {"x", "9"} and lower != "s")


def _head(words: Sequence[_Word], at: int) -> str:
    """Tell how far on stands what an eponym names ("sign", "catheter"), past a genitive, a hyphen, other names."""
    for distance in range(1, REACH + 2):
        word = words[at + distance]
        if word.heads:
            return str(distance)
        if word.stops:
            break
    return ""


def _site(words: Sequence[_Word], at: int) -> str:
    """Tell how far on, or back, stands what a building or a business is ("Hospital", "Farms"), if the word is none."""
    here = "0" if words[at].names_site else ""
    for distance in range(1, REACH + 2):
        word = words[at + distance]
        if word.names_site:
            return f"{here}+{distance}"
        if word.stops and word.lower not in _SITE_JOINS:
            break
    before = words[at - 1]
    return f"{here}-1" if before.names_site else f"{here}-2" if words[at - 2].names_site else here


def case_of(text: str) -> str:
    """Return U for a text mostly in capitals, L for one with none, M for the rest."""
    capitals = sum(map(str.isupper, text[:2000]))
    smalls = sum(map(str.islower, text[:2000]))
    if capitals > 2 * smalls:
        return "U"
    return "L" if capitals * 100 < smalls else "M"


def _shape(text: str) -> str:
    if text.isalpha():
        if text.islower():
            return "x"
        if len(text) == 1:
            return "X"
        if text.isupper():
            return "XX"
        return "Xx" if text[0].isupper() and text[1:].islower() else "xX"
    if text.isdigit():
        return "9"
    return text if len(text) == 1 else "x9"


def _kind(codes: tuple[str, ...]) -> str:
    """Sum up the codes: rank as a given name, as a surname and as a word; what medicine and the context lists say."""
    best = {code[0]: code for code in codes}
    word = best.get("w", "")
    medical = "e" if "e" in best else "m" if not _MEDICAL.isdisjoint(best) else "a" if "a" in best else ""
    context = "".join(letter for letter in "tkcrlhv" if letter in best)[:2]
    return best.get("g", "") + best.get("s", "")[:2] + ("w" if word > "w1" else word) + medical + context


def _may_be_name(text: str, lower: str, codes: tuple[str, ...]) -> bool:
    if not text[0].isalpha() or lower in _NEVER:
        return False
    if not text.islower():
        return True
    if not codes:
        return len(text) > 2
    return (
        codes[0] in {"g0", "g1"}
        or ("g2" in codes and "w0" not in codes)
        or ("s0" in codes and {"w0", "w1"}.isdisjoint(codes))
        or not {"w0", "w1", "w2", "m", "d", "o", "a"} & set(codes)
    )
