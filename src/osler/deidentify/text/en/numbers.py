"""English numbers in words, as far as ages, dates and spoken digits need them."""

from typing import Final

_UNITS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
)
_TENS: Final = "twenty thirty forty fifty sixty seventy eighty ninety"
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

VALUES: Final = {
    **{word: value for value, word in enumerate(_UNITS.split())},
    **{word: 10 * value for value, word in enumerate(_TENS.split(), 2)},
}
ORDINAL: Final = "(?:" + "|".join(sorted(ORDINALS, key=len, reverse=True)).replace("~", "[- ]") + ")"
DIGIT: Final = "(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_ANY: Final = "(?:" + "|".join(sorted(VALUES, key=len, reverse=True)) + ")"
YEAR: Final = (
    rf"(?:(?:nineteen|twenty)[- ](?:hundred[- ]|oh[- ])?{_ANY}(?:[- ](?:one|two|three|four|five"
    rf"|six|seven|eight|nine))?"
    rf"|two thousand(?: and)?(?: {_ANY}(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?)?)"
)
OVER_89: Final = (
    "(?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?"
    rf"|(?:a|one)[- ]hundred(?:(?:[- ]and)?[- ](?:{_ANY}))?)"
)


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
