import datetime
import struct

import pydicom
import pytest

from osler.publish import header as dicom
from osler.publish.reidentify import read_header
from osler.testing.results import radiograph


def header(**attributes: object) -> pydicom.Dataset:
    with dicom.quietly():
        return read_header(radiograph(**attributes))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("20260102", datetime.date(2026, 1, 2)),
        ("2026.01.02", datetime.date(2026, 1, 2)),
        ("20261302", None),
        ("20260230", None),
        ("2026", None),
        ("", None),
        (None, None),
        ("UNKNOWN", None),
    ],
)
def test_dates(value: str | None, expected: datetime.date | None) -> None:
    assert dicom.date(header(StudyDate=value), "StudyDate") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("093015.25", datetime.time(9, 30, 15, 250000)),
        ("093015", datetime.time(9, 30, 15)),
        ("0930", datetime.time(9, 30)),
        ("09", datetime.time(9)),
        ("09:30:15", datetime.time(9, 30, 15)),
        ("235960", datetime.time(23, 59, 59)),
        ("250000", None),
        ("noon", None),
        (None, None),
    ],
)
def test_times(value: str | None, expected: datetime.time | None) -> None:
    assert dicom.time(header(StudyTime=value), "StudyTime") == expected


@pytest.mark.parametrize(
    ("value", "minutes"),
    [("+0100", 60), ("-0330", -210), ("+1400", 840), ("+1500", None), ("0100", None), ("UTC", None), (None, None)],
)
def test_time_zones(value: str | None, minutes: int | None) -> None:
    zone = dicom.timezone(header(TimezoneOffsetFromUTC=value))

    assert (None if zone is None else zone.utcoffset(None)) == (
        None if minutes is None else datetime.timedelta(minutes=minutes)
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Doe^Jane", ("Doe^Jane", "", "")),
        ("Doe^Jane^^^", ("Doe^Jane", "", "")),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", ("Yamada^Tarou", "山田^太郎", "やまだ^たろう")),
        ("=山田^太郎", ("", "山田^太郎", "")),
        ("a" * 90, ("a" * 64, "", "")),
        ("Doe^Jane\r\nInjected", ("Doe^Jane  Injected", "", "")),
        ("A^B^C^D^E^F^G", ("A^B^C^D^E", "", "")),
        ("", ("", "", "")),
        (None, ("", "", "")),
    ],
)
def test_names(value: str | None, expected: tuple[str, str, str]) -> None:
    with dicom.quietly():
        name = dicom.name(header(PatientName=value), "PatientName")

    assert (name.alphabetic, name.ideographic, name.phonetic) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("F", "F"), ("f ", "F"), ("FEMALE?", ""), ("a" * 17, ""), ("", ""), (None, "")],
)
def test_code_strings(value: str | None, expected: str) -> None:
    with dicom.quietly():
        assert dicom.code(header(PatientSex=value), "PatientSex") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("CHEST  AP ", "CHEST  AP"), ("x" * 80, "x" * 64), ("a\x00b\x1b[31m", "a b [31m"), ("two\\values", "two")],
)
def test_texts(value: str, expected: str) -> None:
    with dicom.quietly():
        assert dicom.text(header(StudyDescription=value), "StudyDescription") == expected


@pytest.mark.parametrize(("value", "expected"), [("7", 7), (" 7 ", 7), ("-1", None), ("1.5", None), (None, None)])
def test_numbers(value: str | None, expected: int | None) -> None:
    with dicom.quietly():
        made = header()
        if value is None:
            del made.SeriesNumber
        else:
            raw = value.encode().ljust(len(value) + len(value) % 2)
            made = read_header(_with_series_number(raw))
        assert dicom.integer(made, "SeriesNumber") == expected


def test_a_value_of_another_kind_than_its_tag_says_is_no_value() -> None:
    made = pydicom.Dataset()
    made.add_new("PatientName", "SQ", [pydicom.Dataset()])
    made.add_new("StudyDate", "OB", b"\xff\xfe\xfd")
    made.add_new("StudyDescription", "SQ", [])

    assert str(dicom.name(made, "PatientName")) == ""
    assert dicom.date(made, "StudyDate") is None
    assert dicom.text(made, "StudyDescription") == ""


def _with_series_number(raw: bytes) -> bytes:
    usual = struct.pack("<HH2sH", 0x0020, 0x0011, b"IS", 2) + b"1 "
    content = radiograph()
    assert usual in content
    return content.replace(usual, struct.pack("<HH2sH", 0x0020, 0x0011, b"IS", len(raw)) + raw)
