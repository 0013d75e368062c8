"""``osler deid fhir`` and ``osler deid hl7``: what they print, and how they end."""

import json
from pathlib import Path

import pytest
import typer

from osler.cli import deid_fhir
from osler.cli.caller import Caller
from osler.errors import Malformed

PATIENT = {"resourceType": "Patient", "id": "kanarie", "name": [{"family": "Kanarie"}], "gender": "female"}
MESSAGE = b"MSH|^~\\&|||||20260102||ADT^A01|1|P|2.5.1\rPID|1||7||Kanarie^V||19570312|F\r"


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    data_dir = tmp_path / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "osler.toml").touch(mode=0o600)
    app = typer.Typer(pretty_exceptions_enable=False)
    deid_fhir.add_commands(app)

    def _run(command: str, content: bytes, *options: str) -> tuple[int, str, str]:
        source = tmp_path / "input"
        source.write_bytes(content)
        args = [command, str(source), "--data-dir", str(data_dir), *options]
        code = app(args=args, standalone_mode=False, obj=Caller({"HOME": str(tmp_path)}))
        out, err = capfd.readouterr()
        return code or 0, out, err

    return _run


def test_a_resource_comes_out_as_a_resource_under_the_same_pseudonym_each_time(run) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("fhir", json.dumps(PATIENT, indent=2).encode(), "--json")
    made = json.loads(out)
    assert (code, made["resourceType"], made["gender"]) == (0, "Patient", "female")
    assert "kanarie" not in out.lower()
    assert json.loads(run("fhir", json.dumps(PATIENT).encode())[1]) == made


def test_ndjson_goes_on_after_a_line_that_is_refused(run) -> None:  # type: ignore[no-untyped-def]
    refused = PATIENT | {"modifierExtension": [{"url": "http://kanarie", "valueBoolean": True}]}
    lines = "\n".join(map(json.dumps, (PATIENT, refused, PATIENT))).encode()
    code, out, err = run("fhir", lines)
    assert (code, [json.loads(line)["resourceType"] for line in out.splitlines()]) == (3, ["Patient", "Patient"])
    assert "line 2 rule modifier-extension" in err
    document = json.loads(run("fhir", lines, "--json")[1])
    assert (len(document["resources"]), document["method"]) == (2, "safe-harbor")
    assert [(one["line"], one["rule"]) for one in document["refused"]] == [(2, "modifier-extension")]
    assert "kanarie" not in (out + err).lower()


def test_messages_come_out_as_messages(run) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = run("hl7", MESSAGE * 2)
    assert code == 0
    assert out.count("PID|1||OSL-") == 2
    assert "Kanarie" not in out
    document = json.loads(run("hl7", MESSAGE + MESSAGE.replace(b"2.5.1", b"2.5.1||||||EBCDIC"), "--json")[1])
    assert [message.count("\r") for message in document["messages"]] == [2]
    assert document["refused"][0]["message"] == 2


def test_what_is_neither_is_refused(run) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Malformed):
        run("hl7", b"Kanarie")
    with pytest.raises(Malformed):
        run("fhir", b"Kanarie")


def test_the_people_of_another_file_are_looked_for(run, tmp_path) -> None:  # type: ignore[no-untyped-def]
    people = tmp_path / "Patient.ndjson"
    people.write_text(json.dumps(PATIENT) + "\n" + json.dumps(PATIENT | {"id": "other", "name": [{"family": "Vogel"}]}))
    note = {"resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/kanarie"}}
    note["note"] = [{"text": "xnote of kanarie: LDL is high"}]
    alone, lines = json.dumps(note).encode(), f"{json.dumps(note)}\n{json.dumps(note)}".encode()
    for content in (alone, lines):
        code, out, _ = run("fhir", content, "--people", str(people))
        assert code == 0
        assert "kanarie" not in out.lower()
        assert "LDL is high" in out
