"""Versions of a model come, read beside the champion, take its place and go back, while the hub runs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from acceptance.running import RunningHub, eventually, radiograph
from osler.ingest.folder import send
from osler.registry.folder import FolderRegistry
from osler.registry.signing import create_key
from osler.storage import Database
from osler.storage.database import sqlite_url
from osler.storage.tables import inference, job, outbox
from osler.testing import studies
from osler.testing.models import write_artefact

MakeHub = Callable[..., RunningHub]
PASSWORD = "correct horse battery"


@pytest.fixture
def hub(make_hub: MakeHub, tmp_path: Path) -> RunningHub:
    """Make a hub that trusts our key, looks often, and asks little of a promotion."""
    public = create_key(tmp_path / "sign.key")
    made = make_hub(
        f'[registry]\nlook_s = 0.1\ntrusted_keys = ["{public}"]\n[promotion]\nmin_compared = 4\nmin_agreement = 0.6\n'
    )
    for person, role in (("ada", "ml-engineer"), ("rosalind", "radiologist")):
        made.osler("user", "add", person, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")
    return made


def register(hub: RunningHub, *options: str, version: str, gain: float = 1.0) -> dict[str, Any]:
    folder = hub.data_dir.parents[1]
    made = write_artefact(folder / f"model-{version}", version=version, gain=gain)
    key = str(folder / "sign.key")
    found: dict[str, Any] = hub.json("models", "register", str(made), "--sign-key", key, *options)
    return found


def as_person(hub: RunningHub, person: str, *args: str, ok: tuple[int, ...] = (0,)) -> str:
    return hub.osler(*args, "--as", person, "--password-stdin", stdin=f"{PASSWORD}\n", ok=ok)


def rows(hub: RunningHub, table: Any) -> list[Any]:
    database = Database(sqlite_url(hub.data_dir / "osler.db"))
    with database.read() as connection:
        found = list(connection.execute(select(table)).all())
    database.close()
    return found


def finished(hub: RunningHub, count: int) -> Callable[[], bool]:
    return lambda: [j.state for j in rows(hub, job)] == ["completed"] * count


def in_use(hub: RunningHub, words: str) -> None:
    eventually(lambda: words in hub.log, f"the hub has {words} in use\n{hub.log}")


def send_one(hub: RunningHub, number: int, *, bright: bool = True) -> None:
    path = radiograph(hub.data_dir.parent / f"study{number}", bright=bright)
    send([path], address=("127.0.0.1", hub.dimse_port))


def locked_set(folder: Path) -> Path:
    """Write twelve radiographs, of which the bright ones have an opacity."""
    lines = ["file,opacity"]
    for number in range(12):
        bright = number % 2
        radiograph(folder, f"{number}.dcm", bright=bool(bright), SOPInstanceUID=f"2.25.{number + 1}")
        lines.append(f"{number}.dcm,{bright}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_a_challenger_reads_beside_the_champion_and_is_only_compared(hub: RunningHub) -> None:
    hub.start()
    register(hub, "--alias", "challenger", version="2.0.0", gain=0.9)
    eventually(lambda: hub.log.count("model-loaded") == 2, "the challenger is loaded")
    for number in range(2):
        send_one(hub, number, bright=number == 0)
    eventually(finished(hub, 4), f"both read both\n{hub.log}")
    hub.settled(2)
    assert sorted((i.model, i.role) for i in rows(hub, inference)) == [
        ("fake@1.0.0", "champion"),
        ("fake@1.0.0", "champion"),
        ("fake@2.0.0", "shadow"),
        ("fake@2.0.0", "shadow"),
    ]
    published = {o.inference_id for o in rows(hub, outbox)}
    assert published == {i.id for i in rows(hub, inference) if i.role == "champion"}
    assert hub.fhir("Observation")["total"] == 2
    found = hub.json("models", "compare", "fake")
    assert (found["champion"], found["challenger"]) == ("1.0.0", "2.0.0")
    (label,) = found["labels"]
    assert (label["label"], label["compared"]) == ("opacity", 2)
    assert label["mean_difference"]["value"] < 0
    listed = {(m["name"], m["version"]): m["aliases"] for m in hub.json("models", "list") if m["name"] == "fake"}
    assert listed == {("fake", "1.0.0"): ["champion"], ("fake", "2.0.0"): ["challenger"]}


def test_a_champion_changes_under_work_and_nothing_is_lost(hub: RunningHub) -> None:
    hub.start()
    registry = FolderRegistry(hub.data_dir / "models" / "artefacts")
    register(hub, version="2.0.0")
    register(hub, version="3.0.0")
    count = 0
    for version in ("2.0.0", "3.0.0", None, "2.0.0"):
        for _ in range(3):
            send_one(hub, count)
            count += 1
        registry.set_alias("fake", "champion", version)
    eventually(lambda: len(rows(hub, job)) == count, f"every study is queued\n{hub.log}")
    eventually(finished(hub, count), f"every job ends\n{hub.log}")
    last = '"champions": "fake@2.0.0"'
    eventually(lambda: hub.log.rfind(last) == hub.log.rfind('"champions"') > 0, "the hub took up the last champion")
    send_one(hub, count)
    eventually(finished(hub, count + 1), f"the last study is read\n{hub.log}")
    hub.settled(count + 1)
    read = rows(hub, inference)
    assert len(read) == count + 1
    assert {j.attempts for j in rows(hub, job)} == {1}
    assert {i.model for i in read} <= {"fake@1.0.0", "fake@2.0.0", "fake@3.0.0"}
    assert "fake@2.0.0" in {i.model for i in read}
    assert all(json.loads(i.body)["model"]["version"] == i.model.partition("@")[2] for i in read)


def test_a_new_champion_that_does_not_load_changes_nothing(hub: RunningHub) -> None:
    hub.start()
    register(hub, version="2.0.0")
    (hub.data_dir / "models" / "artefacts" / "fake" / "2.0.0" / "weights" / "gain.txt").write_text("9.0\n")
    FolderRegistry(hub.data_dir / "models" / "artefacts").set_alias("fake", "champion", "2.0.0")
    eventually(lambda: "model cannot be used" in hub.log, f"the hub says so\n{hub.log}")
    send_one(hub, 0)
    hub.settled(1)
    assert [i.model for i in rows(hub, inference)] == ["fake@1.0.0"]
    assert hub.ready()
    (row,) = [m for m in hub.json("models", "list") if m["version"] == "2.0.0"]
    assert row["weights"].startswith("refused")


def test_a_promotion_takes_evidence_and_two_persons_and_is_rolled_back_by_one_command(
    hub: RunningHub, tmp_path: Path
) -> None:
    hub.start()
    register(hub, "--alias", "challenger", version="2.0.0", gain=0.9)
    eventually(lambda: hub.log.count("model-loaded") == 2, "the challenger is loaded")
    dataset, evidence = str(locked_set(tmp_path / "locked")), str(tmp_path / "evidence.json")
    figures = hub.json("models", "evaluate", "fake@2.0.0", "--dataset", dataset, "--out", evidence)
    (label,) = figures["labels"]
    assert (label["images"], label["positives"], label["auroc"]["value"]) == (12, 6, 1.0)
    assert label["auroc"]["interval_95"][0] < 1.0
    promote = ("models", "promote", "fake", "--to", "2.0.0")
    assert "two persons" in stderr_of(hub, *promote, "--evidence", evidence)
    # Too little: the champion was not measured on the set, and no live study has been read by both.
    refused = as_person_refused(hub, "ada", *promote, "--evidence", evidence)
    assert "not measured on the same set" in refused
    assert "alias challenger" in refused
    hub.json("models", "evaluate", "fake", "--dataset", dataset)
    for number in range(4):
        send_one(hub, number, bright=number % 2 == 0)
    eventually(finished(hub, 8), f"both read all\n{hub.log}")
    as_person(hub, "ada", *promote, "--evidence", evidence)
    assert "another person" in as_person_refused(hub, "ada", *promote, "--confirm")
    assert hub.json("models", "show", "fake")["version"] == "1.0.0"
    as_person(hub, "rosalind", *promote, "--confirm")
    assert hub.json("models", "show", "fake")["version"] == "2.0.0"
    in_use(hub, '"champions": "fake@2.0.0"')
    send_one(hub, 9)
    eventually(lambda: ("fake@2.0.0", "champion") in {(i.model, i.role) for i in rows(hub, inference)}, hub.log)
    hub.json("models", "rollback", "fake")
    assert hub.json("models", "show", "fake")["version"] == "1.0.0"
    assert "nothing to go back to" in stderr_of(hub, "models", "rollback", "fake")
    kinds = [e["kind"] for e in hub.json("audit", "search", "--limit", "1000") if "kind" in e]
    for event in ("model-registered", "model-evaluated", "promotion-refused", "promotion-requested", "model-promoted"):
        assert event in kinds or not kinds
    assert hub.json("audit", "verify")["verified"] is True


def stderr_of(hub: RunningHub, *args: str) -> str:
    with pytest.raises(AssertionError) as failed:
        hub.osler(*args)
    return str(failed.value)


def as_person_refused(hub: RunningHub, person: str, *args: str) -> str:
    with pytest.raises(AssertionError) as failed:
        as_person(hub, person, *args)
    return str(failed.value)


def test_evidence_that_was_changed_is_none(hub: RunningHub, tmp_path: Path) -> None:
    register(hub, version="2.0.0")
    dataset, evidence = str(locked_set(tmp_path / "locked")), tmp_path / "evidence.json"
    hub.json("models", "evaluate", "fake@2.0.0", "--dataset", dataset, "--out", str(evidence))
    evidence.write_text(evidence.read_text().replace('"refused": 0', '"refused": 1'))
    refused = as_person_refused(hub, "ada", "models", "promote", "fake", "--to", "2.0.0", "--evidence", str(evidence))
    assert "was changed since" in refused


def test_in_a_canary_study_the_challenger_is_published_and_the_champion_is_not(
    make_hub: MakeHub, tmp_path: Path
) -> None:
    hub = make_hub("canary_percent = 100.0\n[registry]\nlook_s = 0.1\nallow_unsigned = true\n")
    hub.json("models", "register", str(write_artefact(tmp_path / "model")), "--alias", "challenger")
    hub.start()
    send_one(hub, 0)
    eventually(finished(hub, 2), f"both read it\n{hub.log}")
    hub.settled(1)
    assert {(i.model, i.role) for i in rows(hub, inference)} == {("fake@1.0.0", "shadow"), ("fake@2.0.0", "canary")}
    (published,) = {o.inference_id for o in rows(hub, outbox)}
    assert published == next(i.id for i in rows(hub, inference) if i.role == "canary")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "weights" / "net.pt").write_bytes(b"\x80\x04."), "net.pt"),
        (lambda f: (f / "weights" / "link.txt").symlink_to("/etc/passwd"), "no plain file"),
        (lambda f: None, "not signed"),
    ],
    ids=["pickle", "link", "unsigned"],
)
def test_what_is_no_model_of_ours_is_not_registered(
    make_hub: MakeHub, tmp_path: Path, spoil: Callable[[Path], object], words: str
) -> None:
    hub = make_hub()
    folder = write_artefact(tmp_path / "model")
    spoil(folder)
    assert words in stderr_of(hub, "models", "register", str(folder))
    assert not any(m.get("artefact") for m in hub.json("models", "list"))


def test_analyze_reads_with_a_registered_version(hub: RunningHub, tmp_path: Path) -> None:
    register(hub, version="2.0.0", gain=0.5)
    path = tmp_path / "image.dcm"
    path.write_bytes(studies.part10(studies.image("CR")))
    one, other = (hub.json("analyze", str(path), "--model", model)[0] for model in ("fake", "fake@2.0.0"))
    assert (one["model"]["version"], other["model"]["version"]) == ("1.0.0", "2.0.0")
    assert other["findings"][0]["probability"] == pytest.approx(one["findings"][0]["probability"] / 2, rel=0.01)
