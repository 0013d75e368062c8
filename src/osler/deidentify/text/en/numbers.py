"""English numbers in words, as far as ages, dates and spoken digits need them."""

from typing import Final

UNITS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
ORDINALS: Final = (
    (
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
        "thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth twenty[- ]first twenty[- ]second twenty[- ]third "
        "twenty[- ]fourth twenty[- ]fifth twenty[- ]sixth twenty[- ]seventh twenty[- ]eighth "
        "twenty[- ]ninth thirtieth "
        "thirty[- ]first"
    )
    .replace("[- ]", "~")
    .split()
)

_TIMES: Final = {"double": 2, "triple": 3}
VALUES: Final = {
    **{word: value for value, word in enumerate(UNITS.split())},
    **{word: 10 * value for value, word in enumerate(TENS.split(), 2)},
}
DAY_WORD: Final = (
    "(?:thirty[- ]one|thirty|twenty[- ](?:one|two|three|four|five|six|seven|eight|nine)|"
    + "|".join(UNITS.split()[:0:-1])
    + "|twenty)"
)
ORDINAL: Final = "(?:" + "|".join(sorted(ORDINALS, key=len, reverse=True)).replace("~", "[- ]") + ")"
DIGIT: Final = "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_ANY: Final = "(?:" + "|".join(sorted(VALUES, key=len, reverse=True)) + ")"
NUMBER_WORD: Final = f"(?:{_ANY[3:-1]}|oh|hundred|double|triple)"
SAID_NUMBERS: Final = rf"{NUMBER_WORD}(?:[-, \n]{{1,3}}{NUMBER_WORD}){{4,15}}(?!\w)"
"""Numbers said one after the other, as telephone numbers are."""

YEAR: Final = (
    rf"(?:(?:nineteen|twenty)[- ](?:hundred[- ]|oh[- ])?{_ANY}(?:[- ](?:one|two|three|four|five"
    rf"|six|seven|eight|nine))?"
    rf"|two thousand(?: and)?(?: {_ANY}(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)?)"
)
OVER_89: Final = (
    "(?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
    rf"|(?:a|one)[- ]hundred(?:(?:[- ]and)?[- ](?:{_ANY}))?)"
)


def said_digits(words: str) -> int:
    """Return how many digits are written when "six one seven, five fifty five, oh one double nine" is."""
    count = 0
    before = repeat = 0
    for word in words.replace("-", " ").replace(",", " ").split():
        number = VALUES.get(word, 0)
        if word in _TIMES:
            repeat = _TIMES[word]
        elif word == "hundred":
            count += 2
        elif before >= 20 and 0 < number < 10:
            before = 0
        else:
            count += repeat or (2 if number > 9 else 1)
            before, repeat = number, 0
    return count


def year_of(words: str) -> int | None:
    """Return the year that words such as "nineteen forty-one" or "two thousand and five" say."""
    parts = [part for part in words.replace("-", " ").split() if part not in {"and", "oh"}]
    if parts[:2] == ["two", "thousand"]:
        return 2000 + sum(VALUES.get(part, 0) for part in parts[2:])
    if parts[:1] == ["nineteen"]:
        return 1900 + sum(VALUES.get(part, 0) for part in parts[1:])
    if parts[:1] == ["twenty"] and len(parts) > 1:
        return 2000 + sum(VALUES.get(part, 0) for part in parts[1:])
    return None
