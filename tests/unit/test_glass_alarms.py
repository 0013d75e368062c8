"""The alarm of broken glass goes to the privacy officer, and goes on until it has arrived."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from osler import config
from osler.api.people.glass import BrokenGlass, Opening
from osler.api.people.roles import Role
from osler.api.people.store import UserStore
from osler.config import Config
from osler.errors import ConfigError, PeerUnavailable
from osler.hub.glass_alarms import GlassAlarms
from osler.testing.clock import FakeClock
from osler.testing.ledger import Ledger
from osler.testing.peers import Pager

REASON = "Unconscious in the emergency room, allergies not known"
SECRET = "a long secret of the pager"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path)
    UserStore(made.database).add("ann", Role.CLINICIAN, None)
    yield made
    made.close()


def broken(ledger: Ledger) -> Opening:
    glass = BrokenGlass(ledger.database, sealer=ledger.keyring.sealer("record"))
    return ledger.database.write(lambda c: glass.break_for(c, "ann", "OSL-A", REASON, now=1_800_000_000.0))


def settings(tmp_path: Path, *pagers: Pager, when: str = "privacy") -> Config:
    tables = [
        f'[[destination]]\nname = "p{n}"\nkind = "webhook"\nurl = "{p.url}"\nsecret = "{SECRET}"\nwhen = "{when}"\n'
        for n, p in enumerate(pagers)
    ]
    (tmp_path / "osler.toml").write_text("".join(tables), encoding="utf-8")
    return config.load({}, data_dir=tmp_path)


def test_each_privacy_destination_is_told_once(ledger: Ledger, tmp_path: Path) -> None:
    opening = broken(ledger)
    statuses = iter([503, 204])
    first, second = Pager(SECRET), Pager(SECRET, status=lambda: next(statuses))
    try:
        alarms = GlassAlarms(ledger, settings(tmp_path, first, second), clock=FakeClock())  # type: ignore[arg-type]
        with pytest.raises(PeerUnavailable):
            alarms.step()
        assert ledger.audit.search(event="glass-told") == []
        alarms.step()
        alarms.step()
        assert (len(first.messages), len(second.messages)) == (1, 1)
        (message,) = first.messages
        assert message.body == {
            "event": "glass-broken",
            "id": opening.id,
            "person": "ann",
            "patient": "Patient/OSL-A",
            "opened_at": "2027-01-15T08:00:00.000Z",
            "ends_at": "2027-01-15T09:00:00.000Z",
            "url": "http://127.0.0.1:8080/account/reviews",
        }
        assert message.headers["Idempotency-Key"] == f"glass/{opening.id}"
        assert "Unconscious" not in str(message)
    finally:
        first.stop()
        second.stop()
    assert len(ledger.audit.search(event="glass-told")) == 1


def test_a_pager_of_results_is_not_told_and_a_privacy_destination_gets_no_results(
    ledger: Ledger, tmp_path: Path
) -> None:
    broken(ledger)
    pager = Pager(SECRET)
    try:
        results = settings(tmp_path, pager, when="critical")
        GlassAlarms(ledger, results).step()  # type: ignore[arg-type]
        assert pager.messages == []
        privacy = settings(tmp_path, pager)
    finally:
        pager.stop()
    assert [d.name for d in results.destinations] == ["p0"]
    assert results.privacy_destinations == ()
    assert privacy.destinations == ()
    assert [d.name for d in privacy.privacy_destinations] == ["p0"]


def test_an_archive_is_no_privacy_destination(tmp_path: Path) -> None:
    text = '[[destination]]\nname = "x"\nkind = "dicom"\naddress = "a:1"\nae_title = "A"\nwhen = "privacy"\n'
    (tmp_path / "osler.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="privacy or operations for a webhook or smtp"):
        config.load({}, data_dir=tmp_path)
