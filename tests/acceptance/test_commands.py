"""What the commands say and how they end, where a script or a tired person would trip."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from acceptance.running import RunningHub, environment, eventually, radiograph
from osler.ingest.folder import send

MakeHub = Callable[..., RunningHub]


def run(*args: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a command of Osler."""
    command = [sys.executable, "-m", "osler", *args]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env=environment(), timeout=60
    )


def test_init_makes_no_new_key_for_a_database_that_was_sealed_with_another(make_hub: MakeHub) -> None:
    hub = make_hub()
    for name in ("master.key", "audit.key"):
        key = hub.data_dir / "keys" / name
        content = key.read_bytes()
        key.unlink()
        done = run("init", "--data-dir", str(hub.data_dir))
        assert done.returncode == 2
        assert f"{name} is missing" in done.stderr
        assert "backup" in done.stderr
        assert not key.exists()
        key.write_bytes(content)
        key.chmod(0o600)
    assert hub.json("audit", "verify")["verified"] is True


def test_init_makes_nothing_when_the_password_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    command = ("init", "--data-dir", str(folder), "--admin-password-stdin")

    assert run(*command, stdin="short\n").returncode == 2
    assert not folder.exists()
    assert run(*command, stdin="plum trombone harbour\n").returncode == 0


def test_init_says_where_a_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("init", "--data-dir", str(tmp_path / "file" / "data"))
    assert done.returncode == 2
    assert "cannot be made" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_command_puts_on_record_is_checkpointed(make_hub: MakeHub) -> None:
    hub = make_hub()
    hub.osler("user", "add", "anna", "--role", "clinician", "--password-stdin", stdin="three quiet green lamps\n")
    (*_, last) = (hub.data_dir / "audit" / "checkpoints.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(last)["seq"] == hub.json("audit", "verify")["entries"] == 2


def test_a_list_cuts_nothing_off(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    send([radiograph(tmp_path / "study", bright=False)], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    (job,) = hub.json("queue", "list")
    text = hub.osler("queue", "list")
    assert job["id"] in text
    assert job["study_uid"] in text
    assert len(text.splitlines()) == 2


def test_every_line_of_the_log_is_json(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    send([radiograph(tmp_path / "study", bright=False)], address=("127.0.0.1", hub.dimse_port))
    hub.settled(1)
    hub.stop()
    lines = [json.loads(line) for line in hub.log.splitlines()]
    (ready,) = [line for line in lines if line["event"] == "ready"]
    assert ready["dicom"] == f"OSLER@127.0.0.1:{hub.dimse_port}"
    assert ready["http"] == hub.url


def test_models_of_the_configured_folders_are_listed_and_shown(make_hub: MakeHub) -> None:
    hub = make_hub()
    assert {"fake", "cxr-pneumonia-paediatric"} <= {m["name"] for m in hub.json("models", "list")}
    assert hub.json("models", "show", "fake")["version"] == "1.0.0"
    assert hub.json("models", "card", "fake@champion")["name"] == "fake"


def test_send_ends_with_3_when_some_files_did_not_go_and_with_1_when_none_did(
    make_hub: MakeHub, tmp_path: Path
) -> None:
    hub = make_hub().start()
    good = radiograph(tmp_path / "study")
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(good.read_bytes()[:600])
    to = ("--to", f"127.0.0.1:{hub.dimse_port}")
    assert hub.json("send", str(good), *to)["sent"] == 1
    assert hub.json("send", str(good), str(bad), *to, ok=(3,))["sent"] == 1
    assert hub.json("send", str(bad), *to, ok=(1,))["sent"] == 0


def test_an_alert_belongs_to_whom_took_it_first(make_hub: MakeHub, tmp_path: Path) -> None:
    hub = make_hub().start()
    send([radiograph(tmp_path / "study")], address=("127.0.0.1", hub.dimse_port))
    (alert,) = eventually(lambda: hub.json("alerts", "list"), "an alert is raised")
    assert alert["findings"] == ["opacity 0.78"]
    assert hub.json("alerts", "ack", alert["id"], "--by", "first")["acknowledged_by"] == "first"
    assert hub.json("alerts", "ack", alert["id"], "--by", "second")["acknowledged_by"] == "first"


def test_no_role_is_a_mistake(make_hub: MakeHub) -> None:
    hub = make_hub()
    done = run("serve", "--data-dir", str(hub.data_dir), "--roles", "")
    assert done.returncode == 2
    assert "no role is given" in done.stderr
