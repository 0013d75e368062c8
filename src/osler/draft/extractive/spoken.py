"""From spoken to written: fillers and false starts go, split words are joined, numbers and units become figures.

Only words that carry nothing are taken out. A placeholder such as ``[NAME-1]`` is one word and stays as it is.
"""

import re
from typing import Final

_JOINED: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), written)
    for pattern, written in (
        (r"\s+n't\b", "n't"),
        (r"\bgon\s+na\b|\bgonna\b", "going to"),
        (r"\bwan\s+na\b|\bwanna\b", "want to"),
        (r"\blem\s+me\b|\blemme\b", "let me"),
        (r"\bgot\s+ta\b|\bgotta\b", "have to"),
        (r"\bkinda\b", "kind of"),
        (r"\bsorta\b", "sort of"),
        (r"\b(?:'cause|cuz)\b|(?<=\s)'cause\b|^'cause\b", "because"),
        (r"\s+'(s|m|re|ve|ll|d)\b", r"'\1"),
        (r"\bwhats\b", "what's"),
        (r"[‘’]", "'"),
    )
)
"""What tokenisers and transcribers split or run together."""

_NOISE: Final = re.compile(
    r"(?P<before>,\s*)?(?:"
    r"\b(?:u+h+m*|u+m+|e+r+m*|h+m+|mm+|mm-hmm|m-hmm|uh-huh|a+h+|oh|gosh|geez|huh)\b(?!-)\.*"
    r"|\b(?:you know|y'know|i mean)\b(?!\s+(?:what|that|how|if|where|about|when|who|why|i)\b)"
    r"|(?<=[,\s])like(?=\s*,)"
    r"|(?<![\w-])[a-z']+(?:-[a-z']+)?-(?=[\s,.?!]|$)|--+|\.\.\.+|…)(?P<after>\s*,)?",
    re.IGNORECASE,
)
"""Hesitation, false starts that end in a hyphen, and what is said to keep the turn."""

_STUTTER: Final = re.compile(r"\b([a-z]+)-(?=\1\b)", re.IGNORECASE)

_OPENING: Final = re.compile(
    r"^(?:(?:okay|ok|all right|alright|right(?=\s*[,.])|well(?!\s+(?:controlled|nourished))|so|yeah|yep|yes"
    r"|nope|and|but|now|then|great|perfect|sure|"
    r"excellent|wonderful|good(?=\s*[,.])|hey|hi|hello|awesome|fine|gotcha|anyway|basically|actually|honestly"
    r"|obviously|also|"
    r"no(?=\s*[,.;]|\s+(?:i|it|we|they|he|she|that|okay|no|but|and|so)\b|\s*$)|i see(?=\s*[,.]|\s+(?:okay"
    r"|so)\b)|let's see|of course|absolutely|definitely|exactly|again|um|uh)\b[\s,.;]*)+",
    re.IGNORECASE,
)
_CLOSING: Final = re.compile(
    r"(?:\s*,\s*(?:okay|ok|all right|alright|right|yeah|you know|please|then|well|correct|yes|no)"
    r"|[\s,]+(?:and stuff|or anything|or whatever|and|so|but|or|because|that,|the|a|of|with|to)"
    r")+(?=\s*[.?!]*\s*$)",
    re.IGNORECASE,
)
_REPEATED: Final = re.compile(r"\b([\w']+(?:\s+[\w']+){0,3})((?:\s*,)?\s+\1)+(?=[\s,.?!;']|$)", re.IGNORECASE)
_STARTED: Final = re.compile(r"\b(i|it|we|he|she|they|you|that)\s*,\s+(?=\1'(?:s|m|re|ve|ll|d)\b)", re.IGNORECASE)

_SPACED: Final = ((re.compile(r"\s+([,.;:?!%)])"), r"\1"), (re.compile(r"(,\s*)+,"), ","), (re.compile(r"\s{2,}"), " "))
_EDGES: Final = " ,;:-"

_ONES: Final = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS: Final = {
    word: 10 * number
    for number, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)  # noqa: SIM905
}
_SCALES: Final = {"hundred": 100, "thousand": 1000}
_NUMBER: Final = re.compile(
    rf"\b(?:{'|'.join((*_TENS, *_ONES))})\b(?:[\s-]+(?:{'|'.join((*_TENS, *_ONES, *_SCALES))})\b)*",
    re.IGNORECASE,
)
_HUNDRED: Final = re.compile(
    rf"\ba hundred(?: and ((?:{'|'.join((*_TENS, *_ONES))})\b))?(?=\s+(?:over|out of|milligrams?|mg|percent"
    rf"|degrees|{'|'.join(_TENS)})\b|\s+and\s+(?:{'|'.join(_TENS)})\b)"
    rf"|\ba hundred and ((?:{'|'.join((*_TENS, *_ONES))})\b)",
    re.IGNORECASE,
)
_PRESSURE: Final = re.compile(
    rf"\bone[\s-]+(?=(?:{'|'.join(word for word, number in _ONES.items() if number > 9)})\s+over\b)", re.IGNORECASE
)
"""The hundred that is not said of a blood pressure: "one eighteen over seventy"."""

_AFTER_ONE: Final = re.compile(
    r"\s*(?:day|week|month|year|hour|minute|time|mg|milligram|gram|tablet|pill|plus|out of|over|to|through|point|"
    r"cm|centimeter|pack)",
    re.IGNORECASE,
)
_UNITS: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), written)
    for pattern, written in (
        (r"(?<=\d)\s*milligrams?\b", " mg"),
        (r"(?<=\d)\s*micrograms?\b", " mcg"),
        (r"(?<=\d)\s*milliliters?\b", " mL"),
        (r"(?<=\d)\s*centimeters?\b", " cm"),
        (r"(?<=\d)\s*millimeters?\b", " mm"),
        (r"(?<=\d)\s*(?:percent|%)", "%"),
        (r"(?<=\d)\s+plus\b", "+"),
        (r"(?<=\d)\s+(?:out of|over)\s+(?=\d)", "/"),
        (
            r"(?<=\d)\s+point\s+(?=\d)|(?<=\d\d)\s*\.\s+(?=\d\b)|(?<=\d)\s*\.\s+(?=\d+\s*(?:cm|mm|mg|%|centi|milli"
            r"|by))",
            ".",
        ),
        (r"(?<=\d)[\s-]+year[\s-]+old\b", "-year-old"),
        (r"(?<=\d)[\s-]+years[\s-]+old\b", " years old"),
    )
)


def written(text: str) -> str:
    """Return what was said as it is written: no fillers, no false starts, words joined, numbers as figures."""
    for pattern, joined in _JOINED:
        text = pattern.sub(joined, text)
    text = _STUTTER.sub("", text)
    text = _NOISE.sub(" ", text)
    text = _STARTED.sub("", text)
    for _ in range(2):
        text = _REPEATED.sub(r"\1", text)
    return _spaced(text)


def trimmed(text: str) -> str:
    """Return a written sentence without the words that only open and close a turn."""
    text = text.strip(_EDGES)
    text = _OPENING.sub("", text)
    return _spaced(_CLOSING.sub("", text))


def figures(text: str) -> str:
    """Return a text with number words as figures and units as they are abbreviated."""
    text = _HUNDRED.sub(lambda match: f"one hundred {match[1] or match[2] or ''}".strip(), text)
    text = _PRESSURE.sub("one hundred ", text)
    text = _NUMBER.sub(_figure, text)
    for pattern, unit in _UNITS:
        text = pattern.sub(unit, text)
    return text


def _figure(match: re.Match[str]) -> str:
    found = match.group()
    said = re.split(r"[\s-]+", found.strip(" -\n\t").lower())
    if said in (["one"], ["zero"]) and not _AFTER_ONE.match(match.string, match.end()):
        return found
    tail = found[len(found.rstrip(" -\n\t")) :]
    return " ".join(str(number) for number in _numbers(said)) + tail


def _numbers(said: list[str]) -> list[int]:
    """Return the numbers of a run of number words: "one twenty two" of a blood pressure is 122."""
    numbers: list[int] = []
    last = ""
    for word in said:
        if word in _SCALES:
            numbers.append(numbers.pop() * _SCALES[word] if numbers else _SCALES[word])
        elif (word in _TENS and last == "one") or (word in _TENS and last == "hundred"):
            numbers[-1] = numbers[-1] * (100 if last == "one" else 1) + _TENS[word]
        elif word in _TENS:
            numbers.append(_TENS[word])
        elif last == "hundred" or (last in _TENS and 0 < _ONES[word] < 10):
            numbers[-1] += _ONES[word]
        else:
            numbers.append(_ONES[word])
        last = word
    return numbers


def _spaced(text: str) -> str:
    for pattern, tidy in _SPACED:
        text = pattern.sub(tidy, text)
    return text.strip(_EDGES)
