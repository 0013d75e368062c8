import pytest

from osler.deidentify.text.en.numbers import year_of
from osler.deidentify.text.en.rules import is_dea, is_vin, luhn


@pytest.mark.parametrize(("digits", "holds"), [("4111111111111111", True), ("4111111111111112", False)])
def test_luhn(digits: str, holds: bool) -> None:
    assert luhn(digits) is holds


@pytest.mark.parametrize(("vin", "holds"), [("1m8gdm9axkp042788", True), ("1m8gdm9a1kp042788", False)])
def test_vin(vin: str, holds: bool) -> None:
    assert is_vin(vin) is holds


@pytest.mark.parametrize(("number", "holds"), [("bj6125341", True), ("bj6125342", False)])
def test_dea(number: str, holds: bool) -> None:
    assert is_dea(number) is holds


@pytest.mark.parametrize(
    ("words", "year"),
    [
        ("nineteen forty-one", 1941),
        ("twenty twenty one", 2021),
        ("two thousand and five", 2005),
        ("twenty oh five", 2005),
        ("nineteen", 1900),
        ("twenty", None),
        ("words", None),
    ],
)
def test_years_in_words(words: str, year: int | None) -> None:
    assert year_of(words) == year
