from collections.abc import Callable

import pydicom
import pytest
from sqlalchemy import select, update

from osler.domain.events import Recorded
from osler.errors import IntegrityError, Malformed, NotFound
from osler.publish.reidentify import IdentifiedStudy, Reidentifier, read_header
from osler.storage.tables import audit_event, instance, pseudonym, study
from osler.testing.ledger import Ledger
from osler.testing.results import radiograph


@pytest.fixture
def find(ledger: Ledger) -> Callable[[Recorded], IdentifiedStudy]:
    return Reidentifier(ledger.database, ledger, ledger.identified.get).source


@pytest.fixture
def two(record: Callable[..., Recorded]) -> tuple[Recorded, Recorded]:
    """Results on the studies of two patients."""
    mine = radiograph(PatientID="P1", PatientName="Mine^Me", StudyInstanceUID="1.2.1", SOPInstanceUID="1.2.1.1")
    other = radiograph(PatientID="P2", PatientName="Other^One", StudyInstanceUID="1.2.2", SOPInstanceUID="1.2.2.1")
    return record(mine), record(other)


def change(ledger: Ledger, statement: object) -> None:
    assert ledger.database.write(lambda c: c.execute(statement).rowcount) == 1  # type: ignore[call-overload]


def test_the_patient_and_the_study_come_back(record: Callable[..., Recorded], find: Callable[..., object]) -> None:
    content = radiograph(PatientID="P7", StudyInstanceUID="1.2.7", SeriesInstanceUID="1.2.7.1")

    source = find(record(content))

    assert isinstance(source, IdentifiedStudy)
    assert source.first.identity.patient_id == "P7"
    assert source.first.identity.study_instance_uid == "1.2.7"
    assert source.first.header.PatientName == "Doe^Jane"
    assert "PixelData" not in source.first.header
    assert source.first.content() == content
    assert source.patient.startswith("OSL-")


def test_all_series_are_counted_and_only_what_was_read_is_read(
    ledger: Ledger, record: Callable[..., Recorded], find: Callable[..., IdentifiedStudy]
) -> None:
    contents = [
        radiograph(StudyInstanceUID="1.2.7", SeriesInstanceUID=f"1.2.7.{series}", SeriesNumber=series)
        for series in (1, 1, 2)
    ]
    recorded = record(*contents)

    source = find(recorded)

    assert sorted(s.instances for s in source.series.values()) == [1, 2]
    assert sorted(s.first.header.SeriesNumber for s in source.series.values()) == [1, 2]
    assert list(source.read) == [uid for r in recorded.inference.results for uid in r.sop_instance_uids]


def test_instances_of_a_later_revision_do_not_count_for_an_earlier(
    record: Callable[..., Recorded], find: Callable[..., IdentifiedStudy]
) -> None:
    uids = {"StudyInstanceUID": "1.2.7", "SeriesInstanceUID": "1.2.7.1"}
    first = record(radiograph(**uids))
    before = find(first)
    second = record(radiograph(**uids))

    assert {uid: s.instances for uid, s in find(first).series.items()} == {
        u: s.instances for u, s in before.series.items()
    }
    assert [s.instances for s in find(second).series.values()] == [2]


def test_a_patient_without_an_id_is_bound_too(
    record: Callable[..., Recorded], find: Callable[..., IdentifiedStudy]
) -> None:
    assert find(record(radiograph(PatientID=""))).first.identity.patient_id == ""


def test_each_time_is_on_record_once(
    ledger: Ledger, two: tuple[Recorded, Recorded], find: Callable[..., object]
) -> None:
    revealed = select(audit_event).where(audit_event.c.kind == "identity-revealed")

    find(two[0])

    with ledger.database.read() as connection:
        (row,) = connection.execute(revealed).all()
        (patient,) = connection.execute(
            select(study.c.patient).where(study.c.study_uid == two[0].inference.study_instance_uid)
        ).one()
    assert row.patient == patient


class TestWrongPatient:
    """Whatever single thing in the ledger is changed, nothing comes back for the wrong patient."""

    def test_the_file_of_another(self, ledger, two, find) -> None:
        with ledger.database.read() as connection:
            blobs = dict(connection.execute(select(instance.c.sop_uid, instance.c.blob)).all())
        mine, other = (r.inference.results[0].sop_instance_uids[0] for r in two)
        change(ledger, update(instance).where(instance.c.sop_uid == mine).values(blob=blobs[other] + "", lookup=b"x"))

        with pytest.raises(IntegrityError):
            find(two[0])

    def test_the_file_of_another_with_its_index(self, ledger, two, find) -> None:
        mine, other = (r.inference.results[0].sop_instance_uids[0] for r in two)
        with ledger.database.read() as connection:
            row = connection.execute(select(instance).where(instance.c.sop_uid == other)).one()
        change(ledger, update(instance).where(instance.c.sop_uid == other).values(lookup=b"elsewhere"))
        change(ledger, update(instance).where(instance.c.sop_uid == mine).values(blob=row.blob, lookup=row.lookup))

        with pytest.raises(IntegrityError):
            find(two[0])

    def test_the_pseudonym_of_another_instance(self, ledger, two, find) -> None:
        mine, other = (r.inference.results[0].sop_instance_uids[0] for r in two)
        change(ledger, update(instance).where(instance.c.sop_uid == mine).values(sop_uid="2.25.0"))
        change(ledger, update(instance).where(instance.c.sop_uid == other).values(sop_uid=mine))

        with pytest.raises(IntegrityError):
            find(two[0])

    def test_the_study_of_another(self, ledger, two, find) -> None:
        mine, other = (r.inference.study_instance_uid for r in two)
        change(ledger, update(study).where(study.c.study_uid == mine).values(study_uid="2.25.0"))
        change(ledger, update(study).where(study.c.study_uid == other).values(study_uid=mine))

        with pytest.raises(IntegrityError):
            find(two[0])

    def test_two_studies_under_one_pseudonym(self, ledger, two, find) -> None:
        mine, other = (r.inference.study_instance_uid for r in two)
        change(ledger, update(study).where(study.c.study_uid == other).values(study_uid=mine))

        with pytest.raises(IntegrityError):
            find(two[0])

    @pytest.mark.parametrize("column", ["patient", "patient_lookup", "lookup"])
    def test_what_the_study_row_says(self, ledger, two, find, column) -> None:
        mine, other = (r.inference.study_instance_uid for r in two)
        with ledger.database.read() as connection:
            value = connection.execute(select(study.c[column]).where(study.c.study_uid == other)).scalar_one()
        change(
            ledger, update(study).where(study.c.study_uid == other).values({column: b"" if column != "patient" else ""})
        )
        change(ledger, update(study).where(study.c.study_uid == mine).values({column: value}))

        with pytest.raises(IntegrityError):
            find(two[0])

    @pytest.mark.parametrize("kind", ["patient", "uid"])
    def test_pseudonyms_exchanged_in_the_vault(self, ledger, two, find, kind) -> None:
        with ledger.database.read() as connection:
            names = [
                connection.execute(
                    select(study.c.patient if kind == "patient" else study.c.study_uid).where(
                        study.c.study_uid == r.inference.study_instance_uid
                    )
                ).scalar_one()
                for r in two
            ]
        for before, after in ((names[0], "aside"), (names[1], names[0]), ("aside", names[1])):
            change(ledger, update(pseudonym).where(pseudonym.c.pseudonym == before).values(pseudonym=after))

        with pytest.raises(IntegrityError):
            find(two[0])

    def test_a_result_that_names_an_instance_of_another(self, two, find) -> None:
        mine, other = two
        mixed = Recorded(mine.id, type(mine.inference)(
            mine.inference.study_instance_uid, mine.inference.model, other.inference.results
        ), mine.revision, mine.recorded_at)  # fmt: skip

        with pytest.raises(IntegrityError):
            find(mixed)


def test_nothing_comes_back_without_a_study(ledger, two, find) -> None:
    change(ledger, update(study).where(study.c.study_uid == two[0].inference.study_instance_uid).values(patient=None))

    with pytest.raises(IntegrityError):
        find(two[0])


def test_nothing_comes_back_without_the_vault(ledger, two, find) -> None:
    ledger.database.write(lambda c: c.execute(pseudonym.delete()))

    with pytest.raises(NotFound):
        find(two[0])


def test_what_is_identified_does_not_print_itself(two, find) -> None:
    source = find(two[0])

    said = repr(source) + repr(source.first) + repr(source.series)

    for value in ("P1", "Mine", "1.2.1"):
        assert value not in said


@pytest.mark.parametrize("content", [b"", b"\0" * 200])
def test_what_is_no_dicom_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        read_header(content)


def test_a_header_in_a_character_set_that_nobody_knows_is_read() -> None:
    header = read_header(radiograph(SpecificCharacterSet="ISO_IR 100").replace(b"ISO_IR 100", b"ISO_IR 999"))

    assert isinstance(header, pydicom.Dataset)
    assert header.PatientID == "P100"
