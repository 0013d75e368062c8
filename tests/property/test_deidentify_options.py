"""Under any options: intervals stay exact, UIDs stay one to one, and nothing planted comes out."""

import io
import warnings
from collections.abc import Sequence
from datetime import date, timedelta

import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.dicom.options import Option
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import DeidentificationRefused
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN, dictionary
from property.test_deidentify_canaries import CANARY, CANARY_UID, OF_THE_FILE, dataset, file, is_fair, trees

MODIFIED = Option.RETAIN_LONGITUDINAL_MODIFIED_DATES
SYNTAX = "1.2.840.10008.1.2.1"
DAYS = (0x00080020, 0x00080021, 0x00080022, 0x00080023)
TIMES = (0x0008002A, 0x00080015)
ITEMS = 0x00081140
"""Referenced Image Sequence."""

Moment = tuple[int, str, bytes]
days = st.dates(date(1935, 1, 1), date(2030, 12, 31)).map(lambda day: day.strftime("%Y%m%d").encode())
clocks = st.sampled_from([b"", b"09", b"0930", b"093015", b"093015.123456", b"093015+0100", b"235959.9-0500"])
moments: st.SearchStrategy[Moment] = st.one_of(
    st.tuples(st.sampled_from(DAYS), st.just("DA"), days),
    st.tuples(st.sampled_from(TIMES), st.just("DT"), st.tuples(days, clocks).map(lambda parts: b"".join(parts))),
)
datasets = st.lists(moments, min_size=1, max_size=4, unique_by=lambda moment: moment[0])
uids = st.from_regex(r"1\.2\.[1-9][0-9]{0,8}", fullmatch=True)


def instance(
    own: Sequence[tuple[int, str, object]],
    items: Sequence[Sequence[tuple[int, str, object]]] = (),
    *,
    patient: bytes = b"P-1",
    uid: str = "1.2.3.4",
) -> bytes:
    whole: dict[int, tuple[str, object]] = {
        **{tag: (vr, value) for tag, vr, value in own},
        **OF_THE_FILE,
        0x00080018: ("UI", uid.encode()),
        0x00100020: ("LO", patient),
        0x7FE00010: ("OW", b"\1\2\3\4"),
    }
    if items:
        whole[ITEMS] = ("SQ", [list(one) for one in items])
    return file(SYNTAX, dataset([(t, *whole[t]) for t in sorted(whole)], EXPLICIT_LITTLE_ENDIAN, defined=False))


def read(content: bytes) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed = pydicom.dcmread(io.BytesIO(content))
        parsed.decode()
    return parsed


def day_of(value: str | bytes) -> date:
    text = value.decode() if isinstance(value, bytes) else value
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def shifts(written: pydicom.Dataset, came: Sequence[Moment]) -> set[timedelta]:
    """Return by how much each moment moved; the time of day must not have."""
    found = set()
    for tag, _, value in came:
        text = str(written[tag].value)
        assert text[8:] == value.decode()[8:]
        found.add(day_of(text) - day_of(value))
    return found


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(datasets, st.lists(datasets, max_size=3)), min_size=1, max_size=3))
def test_intervals_within_a_patient_stay_exact(instances: list[tuple[list[Moment], list[list[Moment]]]]) -> None:
    pseudonyms, moved = EphemeralPseudonyms(), set()
    for number, (own, items) in enumerate(instances):
        content = instance(own, items, uid=f"1.2.3.{number}")
        first, again = (
            deidentify_instance(content, pseudonyms=pseudonyms, options=[MODIFIED]).content for _ in range(2)
        )
        assert first == again
        written = read(first)
        moved |= shifts(written, own)
        for item, came in zip(written.get("ReferencedImageSequence", ()), items, strict=True):
            moved |= shifts(item, came)
    (shift,) = moved
    assert timedelta(days=-3650) <= shift <= timedelta(days=-1)


def test_patients_do_not_move_together() -> None:
    pseudonyms, moved = EphemeralPseudonyms(), set()
    came: list[Moment] = [(0x00080020, "DA", b"20200229")]
    for number in range(20):
        content = instance(came, patient=f"P-{number}".encode())
        written = read(deidentify_instance(content, pseudonyms=pseudonyms, options=[MODIFIED]).content)
        moved |= shifts(written, came)
    assert len(moved) > 15


@settings(max_examples=60, deadline=None)
@given(references=st.lists(uids, min_size=2, max_size=8, unique=True), options=st.sets(st.sampled_from(list(Option))))
def test_uids_stay_one_to_one_and_the_same_each_time(references: list[str], options: set[Option]) -> None:
    chosen = possible(options)
    pseudonyms = EphemeralPseudonyms()
    content = instance([], [[(0x00081155, "UI", uid.encode())] for uid in references])
    written = [
        [str(item.ReferencedSOPInstanceUID) for item in read(safe.content).ReferencedImageSequence]
        for safe in (deidentify_instance(content, pseudonyms=pseudonyms, options=chosen) for _ in range(2))
    ]
    assert written[0] == written[1]
    assert len(set(written[0])) == len(references)
    kept = Option.RETAIN_UIDS in chosen
    assert all((new == old) is kept for new, old in zip(written[0], references, strict=True))


def possible(options: set[Option]) -> list[str]:
    """Leave out what excludes another, what looks at pixels, and what refuses a head."""
    out = options - {Option.CLEAN_PIXEL_DATA, Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES}
    return sorted(out - {Option.RETAIN_LONGITUDINAL_FULL_DATES} if MODIFIED in out else out)


option_sets = st.sets(st.sampled_from(list(Option))).map(possible)
LETS_BE: dict[str, frozenset[str]] = {
    Option.RETAIN_DEVICE_IDENTITY: frozenset({"LO", "SH", "ST", "UC", "UT", "LT"}),
    Option.RETAIN_INSTITUTION_IDENTITY: frozenset({"LO", "ST"}),
    Option.RETAIN_PATIENT_CHARACTERISTICS: frozenset({"SH"}),
}


def is_kept_as_it_is(element: tuple[int, str, object], options: Sequence[str]) -> bool:
    """Whether the options let any text stand in some attribute of the tree, as a serial number or an address."""
    tag, _, value = element
    if not isinstance(value, bytes):
        return any(is_kept_as_it_is(inner, options) for one in value for inner in one)  # type: ignore[attr-defined]
    return any(dictionary().get(tag, "")[:2] in LETS_BE.get(option, ()) for option in options)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(elements=st.lists(trees, max_size=10), options=option_sets)
def test_no_canary_comes_out_under_any_options(elements: list[tuple[int, str, object]], options: list[str]) -> None:
    fair = [e for e in elements if is_fair(e, EXPLICIT_LITTLE_ENDIAN) and not is_kept_as_it_is(e, options)]
    try:
        safe = deidentify_instance(instance(fair, patient=CANARY), pseudonyms=EphemeralPseudonyms(), options=options)
    except DeidentificationRefused:
        return
    assert CANARY.lower() not in safe.content.lower()
    assert Option.RETAIN_UIDS in options or CANARY_UID not in safe.content


TEXTS = st.sampled_from([b"CT CHEST W CONTRAST", b"Smith CHEST PA", b"AXIAL 5mm", b"19990101", b"072Y", b"1.2.3", b"M"])
plain = st.lists(
    st.tuples(
        st.sampled_from([t for t, vr in sorted(dictionary().items()) if 0x00080000 <= t < 0x7FE00000 and vr != "SQ"]),
        TEXTS,
    ).map(lambda pair: (pair[0], dictionary()[pair[0]][:2], pair[1])),
    max_size=15,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(own=plain, inner=plain, options=option_sets)
def test_what_is_deidentified_again_stays_as_it_is(
    own: list[tuple[int, str, object]], inner: list[tuple[int, str, object]], options: list[str]
) -> None:
    pseudonyms = EphemeralPseudonyms()
    try:
        once = deidentify_instance(instance(own, [inner]), pseudonyms=pseudonyms, options=options).content
    except DeidentificationRefused:
        return
    assert deidentify_instance(once, pseudonyms=pseudonyms, options=options).content == once
