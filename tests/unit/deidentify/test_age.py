import pytest

from osler.deidentify.dicom.age import age_band
from osler.domain.states import AgeBand

AGE, BORN, STUDY, SERIES, ACQUIRED, CONTENT = 0x00101010, 0x00100030, 0x00080020, 0x00080021, 0x00080022, 0x00080023


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (b"000D", AgeBand.NEONATE),
        (b"027D", AgeBand.NEONATE),
        (b"028D", AgeBand.INFANT),
        (b"003W", AgeBand.NEONATE),
        (b"004W", AgeBand.INFANT),
        (b"000M", AgeBand.NEONATE),
        (b"001M", AgeBand.INFANT),
        (b"011M", AgeBand.INFANT),
        (b"012M", AgeBand.YOUNG_CHILD),
        (b"001Y", AgeBand.YOUNG_CHILD),
        (b"071M", AgeBand.YOUNG_CHILD),
        (b"005Y", AgeBand.YOUNG_CHILD),
        (b"006Y", AgeBand.CHILD),
        (b"011Y", AgeBand.CHILD),
        (b"012Y", AgeBand.ADOLESCENT),
        (b"017Y", AgeBand.ADOLESCENT),
        (b"018Y", AgeBand.ADULT),
        (b"119Y", AgeBand.ADULT),
        (b" 18Y", AgeBand.ADULT),
        (b"120Y", AgeBand.UNKNOWN),
        (b"999Y", AgeBand.UNKNOWN),
        (b"000Y", AgeBand.UNKNOWN),
        (b"", AgeBand.UNKNOWN),
        (b"old", AgeBand.UNKNOWN),
        (b"-05Y", AgeBand.UNKNOWN),
        ("٠١٨Y".encode(), AgeBand.UNKNOWN),
    ],
)
def test_from_the_age(age: bytes, expected: AgeBand) -> None:
    assert age_band({AGE: age}) is expected


@pytest.mark.parametrize(
    ("born", "seen", "expected"),
    [
        (b"20200101", b"20200101", AgeBand.NEONATE),
        (b"20200101", b"20200128", AgeBand.NEONATE),
        (b"20200101", b"20200129", AgeBand.INFANT),
        (b"20200131", b"20200229", AgeBand.INFANT),
        (b"20200102", b"20210101", AgeBand.INFANT),
        (b"20200102", b"20210102", AgeBand.YOUNG_CHILD),
        (b"20040229", b"20100228", AgeBand.YOUNG_CHILD),
        (b"20040229", b"20100301", AgeBand.CHILD),
        (b"20020517", b"20200516", AgeBand.ADOLESCENT),
        (b"20020517", b"20200517", AgeBand.ADULT),
        (b"20200517", b"20200516", AgeBand.UNKNOWN),
        (b"18900101", b"20200101", AgeBand.UNKNOWN),
        (b"20201301", b"20210101", AgeBand.UNKNOWN),
        (b"2020", b"20210101", AgeBand.UNKNOWN),
        (b"20200101", b"", AgeBand.UNKNOWN),
    ],
)
def test_from_the_dates(born: bytes, seen: bytes, expected: AgeBand) -> None:
    assert age_band({BORN: born, STUDY: seen}) is expected


def test_the_first_date_that_is_there_counts() -> None:
    born = {BORN: b"20100101"}
    assert age_band({**born, SERIES: b"20120101", ACQUIRED: b"20200101"}) is AgeBand.YOUNG_CHILD
    assert age_band({**born, STUDY: b"bad", ACQUIRED: b"20180101"}) is AgeBand.CHILD
    assert age_band({**born, CONTENT: b"20300101"}) is AgeBand.ADULT
    assert age_band(born) is AgeBand.UNKNOWN


def test_the_age_counts_before_the_dates() -> None:
    dates = {BORN: b"19500101", STUDY: b"20200101"}
    assert age_band({**dates, AGE: b"004Y"}) is AgeBand.YOUNG_CHILD
    assert age_band({**dates, AGE: b"000Y"}) is AgeBand.ADULT
