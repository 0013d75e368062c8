"""What an amendment takes back of the revision before."""

from note_examples import BASE, items_of, note
from osler.publish.note.amendment import outgoing, taken_back
from osler.publish.note.document import document_reference_id, resources

FIRST = note()
SECOND = note(revision=2, amends=1, sections=FIRST.sections[:1])
BEFORE = resources(FIRST, items_of(FIRST), base_url=BASE)
AFTER = resources(SECOND, items_of(SECOND), base_url=BASE)


def test_items_that_are_not_said_any_more_are_in_error_and_the_document_is_superseded() -> None:
    changes = {f"{one['resourceType']}/{one['id']}": change(one) for one, change in taken_back(BEFORE, AFTER)}
    kinds = sorted(key.partition("/")[0] for key in changes)

    assert kinds == ["Condition", "Condition", "DocumentReference", "Observation", "Observation", "Observation"]
    assert changes[f"DocumentReference/{document_reference_id(FIRST)}"]["status"] == "superseded"
    assert {one["status"] for key, one in changes.items() if key.startswith("Observation/")} == {"entered-in-error"}


def test_a_revision_takes_nothing_of_itself_back() -> None:
    assert list(taken_back(AFTER, AFTER)) == []
    assert list(taken_back((), AFTER)) == []


def test_an_ehr_gets_the_revision_first_and_then_the_changes() -> None:
    found = outgoing(AFTER, BEFORE)

    assert [one.resource for one in found[: len(AFTER)]] == AFTER
    assert all(one.change for one in found[len(AFTER) :])


def test_an_ehr_gets_only_what_it_takes() -> None:
    found = outgoing(AFTER, BEFORE, kinds={"DocumentReference"})

    assert {one.resource["resourceType"] for one in found} == {"DocumentReference"}
    assert len(found) == 3  # transcript, note, and the one before
