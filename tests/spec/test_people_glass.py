"""Breaking the glass: for a reason and a time, with an alarm, and reviewed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from osler.api.people.glass import BrokenGlass
from osler.api.people.roles import Role
from osler.errors import InputRejected, NotFound
from osler.storage import Database
from osler.storage.tables import broken_glass
from osler.vault import KeyRing
from people_site import Site, site_on

REASON = "Unconscious in the emergency room, allergies not known"


@pytest.fixture
def site(new_sqlite: Callable[[Path], str], tmp_path: Path) -> Iterator[Site]:
    with site_on(new_sqlite(tmp_path / "osler.db"), tmp_path) as site:
        for role in Role:
            site.add(role.value, role)
        patient = {"resourceType": "Patient", "id": "OSL-A"}
        site.database.write(lambda c: site.resources.put(c, patient))
        site.events()
        yield site


def test_glass_is_broken_seen_closed_and_reviewed(site: Site) -> None:
    glass = site.people.glass
    with site.browser() as browser:
        site.sign_in(browser, "clinician", to="/account/break-glass?patient=OSL-A")
        assert browser.forms[0].fields["patient"] == "OSL-A"
        browser.submit(reason=REASON)
        assert browser.path == "/account/break-glass"
        assert "Open now" in browser.text
    assert site.events() == ["signed-in", "glass-broken"]
    assert glass.open_for("clinician", site.clock()) == {"OSL-A"}
    assert glass.open_for("radiologist", site.clock()) == frozenset()
    assert glass.open_for("clinician", site.clock() + 3599) == {"OSL-A"}
    assert glass.open_for("clinician", site.clock() + 3600) == frozenset()

    with site.browser() as officer:
        site.sign_in(officer, "privacy-officer", to="/account/reviews")
        assert "To review: 1" in officer.text
        assert REASON in officer.text
        assert "0 times at this patient's record" in officer.text
        officer.submit(words="fine")
        assert officer.response.status_code == 422
        assert "ten characters or more" in officer.text
        officer.submit(words="Seen in the emergency room that night; right.")
        assert "To review: 0" in officer.text
        assert "that night; right. (privacy-officer)" in officer.text
    (done,) = glass.list()
    assert (done.reviewed_by, done.reviewed_at) == ("privacy-officer", site.clock())
    assert glass.list(unreviewed=True) == []
    assert site.events() == ["signed-in", "glass-listed", "glass-listed", "glass-reviewed", "glass-listed"]


def test_the_record_of_it_names_patient_purpose_and_person_but_not_the_words(site: Site) -> None:
    with site.browser() as browser:
        site.sign_in(browser, "radiologist", to="/account/break-glass")
        browser.submit(patient="Patient/OSL-A", reason=REASON)
    entry = site.entries()[-1]
    assert (entry.event, entry.agent, entry.patient) == ("glass-broken", "radiologist", "OSL-A")
    text = str(entry.resource)
    assert "BTG" in text
    assert "Unconscious" not in text
    with site.database.read() as connection:
        row = connection.execute(select(broken_glass)).one()
    assert b"Unconscious" not in row.reason_sealed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"reason": ""}, "ten characters or more"),
        ({"reason": "urgent"}, "ten characters or more"),
        ({"reason": " u r g e n \n\n\t"}, "ten characters or more"),
        ({"reason": "x" * 2001}, "ten characters or more"),
        ({"patient": ""}, "no patient of that id"),
        ({"patient": "OSL-B"}, "no patient of that id"),
        ({"patient": "../Patient/OSL-A"}, "no patient of that id"),
        ({"patient": "<script>"}, "no patient of that id"),
    ],
)
def test_what_does_not_do_is_said_beside_its_field(site: Site, changes: dict[str, str], words: str) -> None:
    with site.browser() as browser:
        site.sign_in(browser, "clinician", to="/account/break-glass")
        browser.submit(**{"patient": "OSL-A", "reason": REASON} | changes)
        assert browser.response.status_code == 422
        assert words in browser.text
        assert "<script>" not in browser.response.text
    assert site.people.glass.list() == []
    assert "glass-broken" not in site.events()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("path", "may"),
    [
        ("/account/break-glass", {Role.CLINICIAN, Role.RADIOLOGIST}),
        ("/account/reviews", {Role.PRIVACY_OFFICER}),
    ],
)
def test_each_page_is_for_its_roles(site: Site, role: Role, path: str, may: set[Role]) -> None:
    with site.browser() as browser:
        site.sign_in(browser, role.value, to=path)
        assert browser.response.status_code == (200 if role in may else 403)
        posted = browser.client.post(path, data={"csrf": csrf_of(browser), "patient": "OSL-A", "reason": REASON})
        expected = {303, 422} if role in may else {403}
        assert posted.status_code in expected
    assert ("access-denied" in site.events()) is (role not in may)


def csrf_of(browser: object) -> str:
    browser.open("/account")  # type: ignore[attr-defined]
    token: str = browser.forms[0].fields["csrf"]  # type: ignore[attr-defined]
    return token


def test_without_a_session_the_pages_lead_to_the_sign_in(site: Site) -> None:
    with site.browser() as browser:
        for path in ("/account/break-glass", "/account/reviews"):
            browser.open(path)
            assert browser.path.startswith("/oauth/sign-in?return_to=")


def test_nobody_reviews_their_own_and_the_first_review_stands(database: Database, keyring: KeyRing) -> None:
    from osler.api.people.store import UserStore

    UserStore(database).add("ann", Role.CLINICIAN, None)
    glass = BrokenGlass(database, sealer=keyring.sealer("record"), lasts_s=60)
    opening = database.write(lambda c: glass.break_for(c, "ann", "OSL-A", REASON, now=100.0))

    with pytest.raises(InputRejected, match="somebody else"):
        database.write(lambda c: glass.review(c, opening.id, "it was quite right", by="ann", now=200.0))
    database.write(lambda c: glass.review(c, opening.id, "it was quite right", by="eve", now=200.0))
    with pytest.raises(NotFound):
        database.write(lambda c: glass.review(c, opening.id, "it was quite wrong", by="bob", now=300.0))
    with pytest.raises(NotFound):
        database.write(lambda c: glass.review(c, "none", "it was quite wrong", by="bob", now=300.0))

    (held,) = glass.list(person="ann")
    assert (held.reason, held.review, held.reviewed_by) == (REASON, "it was quite right", "eve")
    assert glass.list(person="bob") == []
    assert glass.open_for("ann", 99.0) == frozenset()
