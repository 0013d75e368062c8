"""Dates as intervals."""

import pytest

from osler.errors import Malformed
from osler.standards.fhir_dates import parse_span

DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "low", "length"),
    [
        ("1970", 0.0, 365 * DAY),
        ("1972", 730 * DAY, 366 * DAY),
        ("1970-02", 31 * DAY, 28 * DAY),
        ("1972-02", 761 * DAY, 29 * DAY),
        ("1970-12", 334 * DAY, 31 * DAY),
        ("1970-01-02", DAY, DAY),
        ("1970-01-01T01:00", 3600.0, 60.0),
        ("1970-01-01T01:00:00", 3600.0, 1.0),
        ("1970-01-01T01:00:00Z", 3600.0, 1.0),
        ("1970-01-01T01:00:00+01:00", 0.0, 1.0),
        ("1970-01-01T00:00:00-00:30", 1800.0, 1.0),
        ("1970-01-01T00:00:00.25Z", 0.25, 0.01),
        ("1970-01-01T00:00:00.123456789Z", 0.123456, 0.000001),
        ("1970-01-01T23:59:60Z", DAY, 1.0),
        ("9999-12", 253399622400.0, 31 * DAY),
    ],
)
def test_a_partial_date_is_the_whole_of_its_last_part(text: str, low: float, length: float) -> None:
    assert parse_span(text) == (low, pytest.approx(low + length))


@pytest.mark.parametrize(
    "text",
    """|70|1970-13|1970-02-30|1970-1-1|0000|1970-01-01T25:00|1970-01-01T00:00:00+99:99|1970-01-01T10|1970-01-01 10:00|
    1970-01T10:00Z|\u0661\u0669\u0667\u0660|1970Z""".replace("\n    ", "").split("|"),
)
def test_what_is_no_date_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_span(text)

    assert not text or text not in str(caught.value)


def test_neighbours_meet_without_gap_or_overlap() -> None:
    assert parse_span("2024-02")[1] == parse_span("2024-03")[0]
    assert parse_span("2024-12-31T23:59:59.999Z")[1] == parse_span("2025")[0]
    assert parse_span("2024-01-01T00:00:00.239Z")[1] == parse_span("2024-01-01T00:00:00.240Z")[0]
