import re

import pytest

from osler.deidentify.text import Deidentifier
from osler.deidentify.text.en.places import zip3
from osler.deidentify.text.en.written_dates import read_date

NOTE = (
    "Ms. Maria Garcia of Boston, MA 02114, 91 years old, seen March 5, 2021 and 3/15/2021. MRN AB-12345, "
    "call 617-555-0143. Dr. Okafor at 12 Main Street."
)


@pytest.mark.parametrize(
    ("written", "year", "later"),
    [
        ("march 5, 2021", 2021, "March 15, 2021"),
        ("mar 25", None, "Apr 4"),
        ("5-mar-2021", 2021, "15-Mar-2021"),
        ("the 25th of december 2020", 2020, "the 4th of January 2021"),
        ("03/05/2021", 2021, "03/15/2021"),
        ("25/12/2020", 2020, "4/1/2021"),
        ("3/5/21", 2021, "3/15/21"),
        ("3/5/72", 1972, "3/15/72"),
        ("2021-03-05", 2021, "2021-03-15"),
        ("20240229t2359-0500", 2024, "20240310t2359-0500"),
        ("3/25", None, "4/4"),
        ("march 2021", 2021, "March 2021"),
        ("12/2020", 2020, "12/2020"),
        ("friday, march 5, 2021", 2021, "Monday, March 15, 2021"),
        ("may 28, 2021", 2021, "June 7, 2021"),
        ("summer of 2019", 2019, None),
        ("fifth of march twenty twenty one", 2021, "fifteenth of march twenty twenty one"),
        ("march twenty fifth", None, "april fourth"),
        ("june three nineteen fifty", 1950, "june thirteen nineteen fifty"),
        ("3/14/21-3/16/21", 2021, "3/24/21-3/26/21"),
        ("3/24-3/26/21", 2021, "4/3-4/5/21"),
        ("3/14 to 3/16", None, "3/24 to 3/26"),
        ("march 14-16, 2021", 2021, "March 24-March 26, 2021"),
        ("24 to 26 march 2021", 2021, "3 April to 5 April 2021"),
        ("2021-03-14 to 2021-03-20", 2021, "2021-03-24 to 2021-03-30"),
        ("14mar2021", 2021, "24Mar2021"),
        ("2019-mar-14", 2019, "2019-Mar-24"),
        ("fri, 12 mar 2021 08:30:00 +0000", 2021, "Mon, 22 Mar 2021 08:30:00 +0000"),
        ("03/14/\n2021", 2021, "03/24/\n2021"),
        ("2/30/2021", 2021, None),
    ],
)
def test_a_written_date_gives_its_year_and_moves_in_its_form(written: str, year: int | None, later: str | None) -> None:
    read = read_date(written)
    assert read is not None
    assert (read.year, read.shifted(10)) == (year, later)


def test_no_date_is_none() -> None:
    assert read_date("christmas eve") is None


@pytest.mark.parametrize(
    ("code", "left"), [("02114", "021"), ("02114-2696", "021"), ("03601", "000"), ("20301", "000"), ("M5V 2T6", "")]
)
def test_three_digits_of_a_postal_code(code: str, left: str) -> None:
    assert zip3(code) == left


def test_safe_harbor() -> None:
    result = Deidentifier().deidentify(NOTE)
    assert result.text == (
        "Ms. [NAME-1] of [LOCATION-1], MA 021, 90+ years old, seen 2021 and 2021. MRN [MRN-1], "
        "call [PHONE-1]. Dr. [NAME-2] at [LOCATION-2]."
    )


def test_a_limited_data_set_keeps_towns_and_intervals() -> None:
    text = Deidentifier(method="limited-data-set").deidentify(NOTE).text
    assert "Boston, MA 02114, 91 years old" in text
    assert "2021 and" not in text or "March 5" not in text
    assert not re.search("Garcia|Okafor|12345|0143|Main", text)
    first, second = re.search(r"seen (.+?, \d{4}) and (\S+\d)\.", text).groups()  # type: ignore[union-attr]
    days = [read_date(day.lower())._date() for day in (first, second)]  # type: ignore[union-attr]
    assert (days[1] - days[0]).days == 10  # type: ignore[operator]


def test_surrogates_keep_the_form_and_never_the_original() -> None:
    texts = {Deidentifier(method="surrogates").deidentify(NOTE).text for _ in range(4)}
    assert len(texts) == 4
    for text in texts:
        assert not re.search(r"\b(Maria|Garcia|Okafor|Boston|02114|12345|0143|March 5, 2021)\b", text)
        assert re.search(r"MRN [A-Z]{2}-\d{5}, call \d{3}-\d{3}-\d{4}", text)


def test_surrogates_with_a_key_are_the_same_for_one_patient_and_others_for_another() -> None:
    one = Deidentifier(method="surrogates", key=b"k" * 32, context={"mrn": "AB-12345"})
    assert one.deidentify(NOTE).text == one.deidentify(NOTE).text
    assert one.for_patient({"mrn": "AB-99999"}).deidentify(NOTE).text != one.deidentify(NOTE).text


def test_one_person_keeps_one_number() -> None:
    text = "Dr. Ngozi Okafor called. Okafor wrote. Dr. Lindqvist agreed."
    assert Deidentifier().deidentify(text).text == "Dr. [NAME-1] called. [NAME-1] wrote. Dr. [NAME-2] agreed."


def test_surrogates_keep_one_person_one_name_and_the_kind_of_place() -> None:
    text = "John Smith came. SMITH called. John left Mercy Hospital for 12 Main Street."
    made = Deidentifier(method="surrogates", context={"name": "John Smith"}).deidentify(text).text
    name, place = r"([\w'-]+)", r"[\w ]+"
    form = re.fullmatch(
        rf"{name} {name} came\. {name} called\. {name} left {place} Hospital for \d+ {place} Street\.", made
    )
    assert form is not None
    assert (form[2].upper(), form[1]) == (form[3], form[4])
    assert {"John", "Smith", "Mercy", "Main"}.isdisjoint(made.split())


def test_a_range_is_shifted_as_a_whole_or_not_shown() -> None:
    text = Deidentifier(method="limited-data-set").deidentify("3/14/21-3/19/21, January").text
    first, second = (read_date(day)._date() for day in re.findall(r"\d+/\d+/\d+", text))  # type: ignore[union-attr]
    assert (second - first).days == 5  # type: ignore[operator]
    assert "January" not in text
