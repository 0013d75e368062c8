"""Names as they are said, in English: greetings, introductions, titles and spellings, with no capital to show them.

What a recogniser gives without capitals or punctuation has names in it that read as words. The sequence model of
:mod:`osler.deidentify.text` looks at the words beside a name; here it is what people do when they say one.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from osler.deidentify.text import Category, Document, Span, Token
from osler.deidentify.text.en.lexicon import nicknames
from osler.deidentify.text.en.ordinary import is_ordinary
from osler.deidentify.text.en.wordlists import Lexicon, load_lexicon
from osler.deidentify.text.known import LONG_NAME, fold, near

_SURE: Final = 0.9
_TITLES: Final = frozenset(["mr", "mrs", "ms", "mister", "missus", "dr"])
_LOOSE_TITLES: Final = frozenset(
    """
    doctor nurse miss doc professor prof father pastor rabbi reverend
    """.split()  # noqa: SIM905
)
_GREETINGS: Final = frozenset(["hi", "hey", "hello", "hiya", "bye", "goodbye", "welcome", "congratulations"])
_LEADS: Final = re.compile(
    r"\b(?:(?:good (?:morning|afternoon|evening|bye)|thanks(?: so much)?|thank you(?: so much| very much)?|take care"
    r"|(?:nice|good|great|lovely|pleasure) to (?:meet|see) you(?: again| too| today)?) ?,?"
    r"|(?:my (?:full |last |first |maiden )?name(?: is| was|'s)|(?:last|first|maiden) name(?: is|'s)?|call me"
    r"|(?:he|she|they|who) goes by|i go by|(?:boy|girl|man|woman|lady|guy|daughter|son) (?:named|called)) ?,?"
    r"|(?:seeing|next (?:patient )?is|patient(?: name)?(?: is)?|referred by|followed by|spoke with|spoke to"
    r"|talked to|talked with|here with|this is|it's|it is|i'm|i am) ?,?) $"
)
_OPEN: Final = re.compile(r"\b(?:name(?: is| was|'s)?|call me|go(?:es)? by|named) ?,? $")
"""What a name follows for certain, whatever word it is."""

_EDGES: Final = frozenset({"", ",", "\n", ".", "?", "!"})
_BEFORE: Final = 40
_OPENERS: Final = frozenset(["so", "okay", "alright", "right", "well", "now", "hi", "hey", "hello"])
"""What an utterance begins with before somebody is addressed."""

_ADDRESSED_AFTER: Final = frozenset(
    """
    so okay alright right well now hey hi hello here you that mean means
    """.split()  # noqa: SIM905
)
_NO_TITLED: Final = frozenset(
    """
    a an the and or is was has had said says told will who in at to he she i you that
    """.split()  # noqa: SIM905
)
_KIN: Final = frozenset(
    """
    husband wife son daughter brother sister mother father mom dad partner friend boyfriend girlfriend fiance
    fiancee grandson granddaughter aunt uncle cousin niece nephew neighbor neighbour roommate caregiver caretaker
    """.split()  # noqa: SIM905
)
_NEVER: Final = frozenset(
    """
    a an the and or but so if of to in on at by for from with as is are was were be been am do does did done has
    have had not no yes yeah yep okay ok well right he she it they we you i me him her us them his its their our
    your my this that these those who what when where why how which there here then than just also very really too
    today now again all any some one two can could would should will shall may might must let like mean know think
    see said says told going gonna doing feeling good fine great bad sure sorry glad happy ready back up down out
    over about everybody everyone folks guys guy everything dragon dax siri alexa google cortana doctor doc nurse
    mr mrs ms dr um uh hmm oh patient bye gosh hope alrighty whose hmmm m s t d ll re ve
    """.split()  # noqa: SIM905
)
_ALSO_WORDS: Final = frozenset(
    """
    amber autumn bill chase earnest ginger grant heath heather holly jewel misty olive opal penny rex rusty violet
    georgia virginia carolina dallas cleveland houston jordan israel orlando santiago florence
    """.split()  # noqa: SIM905
)
"""Given names that are as often things or places: alone they say nothing."""

_AGED: Final = re.compile(
    r"\b(?P<v>[a-z][a-z'\-]{1,24}(?: [a-z][a-z'\-]{1,24})?) (?:(?:is|was) |, ?)(?:uh ,? ?|um ,? ?)?(?:an? )?"
    r"(?:very )?(?:pleasant |lovely |delightful )?(?:\d{1,3}|(?:[a-z]{3,9}[ -]){1,3}?)[ -]{0,3}(?:year|month|week|yr)s?"
    r"[ -]{0,3}old"
)
_LABELLED: Final = re.compile(
    r"\b(?P<v>[a-z][a-z'\-]{1,24} [a-z][a-z'\-]{1,24}) ?[.,;]? ?"
    r"(?:his |her )?(?:date of birth|dob|d\.o\.b|medical record|mrn|m r n)\b"
)
_SPELT: Final = re.compile(
    r"(?<![\w'])[a-z](?:(?: ?[,.\-] ?| )(?:[a-z]|double [a-z]|[a-z] as in [a-z]{2,12}))(?:(?: ?[,.\-] ?| )"
    r"(?:[a-z]|double [a-z]|[a-z] as in [a-z]{2,12})){1,20}(?![\w'])"
)
_AS_IN: Final = re.compile(r" as in [a-z]+")
_DOUBLE: Final = re.compile(r"double ([a-z])")
_SPELLING_CUE: Final = re.compile(r"\b(?:spell(?:ed|ing|s)?|spelt|name|that's|it's)\b[^\n]{0,40}$")
_SHORTEST_SPELT: Final = 4
_WORD: Final = re.compile(r"[^\W\d_]{3,40}")
_MISSPELT: Final = 200
"""Names of a conversation whose misspellings are looked for; more names than that are no conversation."""


class SpokenNames:
    """A recogniser of names in speech.

    Parameters
    ----------
    called : iterable of str
        Words of the names that are known of the people in the room; one that is also an ordinary word ("hill") is
        then taken wherever somebody is addressed or introduced.
    """

    def __init__(self, called: Iterable[str] = ()) -> None:
        self._lexicon: Lexicon = load_lexicon()
        self._called = frozenset(fold(word) for word in called if len(word) > 1)
        self._never = _NEVER - self._called
        self._nicknames = frozenset(other for word in self._called for other in nicknames(word))

    def spans(self, document: Document) -> Iterator[Span]:
        """Return the names, sure and unsure; they may overlap."""
        lower = document.shadow.lower
        tokens = [Token(t.text.lower(), t.start, t.end) for t in document.tokens]
        told = [s for pattern in (_AGED, _LABELLED) for m in pattern.finditer(lower) for s in self._words(m)]
        told += self._spelt(lower)
        for i, token in enumerate(tokens):
            if token.text[0].isalpha() and self._is_told(lower, tokens, i):
                last = i + 1 if self._goes_on(tokens, i) else i
                told.append(Span(token.start, tokens[last].end, Category.NAME, _SURE, "name-said"))
        yield from told
        called = {word for span in told for word in _WORD.findall(lower[span.start : span.end])} | self._called
        for i, token in enumerate(tokens):
            if token.text in called and token.text not in self._never and self._is_meant(lower, tokens, i):
                yield Span(token.start, token.end, Category.NAME, _SURE, "name-said")

    def _is_told(self, lower: str, tokens: Sequence[Token], i: int) -> bool:
        """Tell whether what is said around a word makes it a name."""
        word = tokens[i].text
        if self._after_title(tokens, i):
            return True
        if word in self._never:
            return False
        if self._given(word):
            return not self._names_a_thing(tokens, i)
        if self._may_be(word) and self._after(tokens, i, _GREETINGS):
            return True
        lead = lower[max(0, tokens[i].start - _BEFORE) : tokens[i].start]
        if self._likely(word) and (self._after(tokens, i, _KIN) or _LEADS.search(lead)):
            return True
        if not self._codes(word) and len(word) > 3 and self._opens(lower, tokens, i):
            return True
        return _OPEN.search(lead) is not None and self._may_be(word) and not self._clinical(word)

    def _is_meant(self, lower: str, tokens: Sequence[Token], i: int) -> bool:
        """Tell whether a word that somebody is called by is the name here, when it is also another word."""
        codes = self._codes(tokens[i].text)
        if not is_ordinary(tokens[i].text) or not codes & {"w0", "m", "d", "o", "a"}:
            return True
        before, after = lower[: tokens[i].start].rstrip(" ")[-1:], lower[tokens[i].end :][:2].lstrip(" ")[:1]
        edges = (before in _EDGES, after in _EDGES)
        addressed = i > 0 and tokens[i - 1].text in _ADDRESSED_AFTER
        return all(edges) or addressed or self._after(tokens, i, _GREETINGS)

    def _opens(self, lower: str, tokens: Sequence[Token], i: int) -> bool:
        """Tell whether a word is what an utterance begins with, after "so" or "okay"."""
        line = lower[max(0, tokens[i].start - 12) : tokens[i].start].rpartition("\n")[2]
        return line.strip(" ,.") in _OPENERS

    def _after_title(self, tokens: Sequence[Token], i: int) -> bool:
        before = i - 2 if i > 1 and tokens[i - 1].text == "." else i - 1
        if before < 0:
            return False
        word, title = tokens[i].text, tokens[before].text
        if title in _TITLES:
            return word not in _NO_TITLED and word not in _TITLES
        return title in _LOOSE_TITLES and before == i - 1 and word not in self._never and self._may_be(word)

    def _after(self, tokens: Sequence[Token], i: int, words: frozenset[str]) -> bool:
        before = i - 1
        while before >= max(0, i - 3) and tokens[before].text in {",", "there", ".", "is", "s", "'"}:
            before -= 1
        return before >= 0 and tokens[before].text in words

    def _goes_on(self, tokens: Sequence[Token], i: int) -> bool:
        """Tell whether the next word is the rest of the name."""
        if i + 1 >= len(tokens) or tokens[i + 1].start - tokens[i].end != 1:
            return False
        word = tokens[i + 1].text
        if word in self._never or not word[0].isalpha():
            return False
        codes = self._codes(word)
        return word in self._called or (bool({"s0", "s1"} & codes) and (not is_ordinary(word) or "s0" in codes))

    def _codes(self, word: str) -> set[str]:
        return set(self._lexicon.get(fold(word), ()))

    def _given(self, word: str) -> bool:
        """Tell a word that is a common given name and hardly anything else."""
        common = bool({"g0", "g1"} & self._codes(word)) and not is_ordinary(word) and word not in _ALSO_WORDS
        return common or (word in self._nicknames and not is_ordinary(word))

    def _likely(self, word: str) -> bool:
        """Tell a word that is a given name, or no word at all that a list has."""
        codes = self._codes(word)
        named = bool({"g0", "g1"} & codes) or ("g2" in codes and not {"w0", "w1"} & codes)
        return word in self._called or (named and not is_ordinary(word)) or (bool(codes & {"g0"}) and word != "will")

    def _may_be(self, word: str) -> bool:
        """Tell a word that may be a name where one is expected."""
        codes = self._codes(word)
        if not codes:
            return len(word) > 2 and word.isalpha()
        return (
            word in self._called
            or bool({"g0", "g1", "s0"} & codes)
            or (any(code[0] in "gs" for code in codes) and not is_ordinary(word) and not {"w0", "w1"} & codes)
        )

    def _clinical(self, word: str) -> bool:
        return bool({"d", "m", "o"} & self._codes(word)) and word not in self._called

    def _names_a_thing(self, tokens: Sequence[Token], i: int) -> bool:
        """Tell an eponym: "wilson's disease"."""
        after = i + 1
        while after < min(len(tokens), i + 3) and tokens[after].text in {"'", "s"}:
            after += 1
        return after < len(tokens) and "h" in self._codes(tokens[after].text) and "e" in self._codes(tokens[i].text)

    def _words(self, match: re.Match[str]) -> Iterator[Span]:
        """Return the words of a match that may be names, from the last one back."""
        end = match.end("v")
        for word in reversed(list(re.finditer(r"[a-z][a-z\-]+", match["v"]))):
            text = word[0]
            if text in self._never or text in _KIN or (is_ordinary(text) and not self._may_be(text)):
                break
            start = match.start("v") + word.start()
            yield Span(start, min(end, match.start("v") + word.end()), Category.NAME, _SURE, "name-said")

    def _spelt(self, lower: str) -> Iterator[Span]:
        """Return names said letter by letter, and the words that the letters make."""
        learned: set[str] = set()
        for match in _SPELT.finditer(lower):
            letters = _DOUBLE.sub(r"\1\1", _AS_IN.sub("", match[0]))
            word = re.sub(r"[^a-z]", "", letters)
            codes = self._codes(word) | (self._codes(word[1:]) if word[0] in "ai" else set())
            cue = _SPELLING_CUE.search(lower[max(0, match.start() - 60) : match.start()]) is not None
            if not set(word) - {"a", "i"}:
                continue  # "i i i", somebody who begins again
            long = len(word) >= _SHORTEST_SPELT and not {"a", "d", "m"} & codes
            if (long or (cue and len(word) > 2)) and ("a" not in codes or word in self._called):
                yield Span(match.start(), match.end(), Category.NAME, _SURE, "name-spelt")
                if not is_ordinary(word) or word in self._called:
                    learned.add(word)
        for match in _WORD.finditer(lower) if learned else ():
            if match[0] in learned:
                yield Span(match.start(), match.end(), Category.NAME, _SURE, "name-spelt")


def repeated_names(spans: Iterable[Span], text: str) -> Iterator[Span]:
    """Return the places where a name that was found once is said again, in whatever case, or nearly so.

    Parameters
    ----------
    spans : iterable of Span
        What was found in the text.
    text : str
    """
    lexicon = load_lexicon()
    names: set[str] = set()
    for span in spans:
        if span.category is Category.NAME:
            for word in map(str.lower, _WORD.findall(text[span.start : span.end])):
                codes = set(lexicon.get(word, ()))
                named = span.score >= _SURE or any(code[0] in "gs" for code in codes)
                plain = codes & {"w0", "d", "m", "a"} and not codes & {"g0", "g1"}
                if named and not plain and not is_ordinary(word):
                    names.add(word)
    long = [name for name in sorted(names) if len(name) >= LONG_NAME][:_MISSPELT]
    verdicts: dict[str, bool] = {}
    for match in _WORD.finditer(text) if names else ():
        word = match[0].lower()
        if word not in verdicts:
            unknown = word not in lexicon
            verdicts[word] = word in names or (unknown and any(near(word, name) for name in long))
        if verdicts[word]:
            yield Span(match.start(), match.end(), Category.NAME, _SURE, "name-again")
