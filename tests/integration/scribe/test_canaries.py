"""Names, numbers and addresses of a patient through the whole flow: where they may not be, they are not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import inspect

from openai_server import Answer, Asked, OpenAIServer, repeating
from osler.draft.extractive import ExtractiveWriter
from osler.draft.language_model.endpoint import Endpoint
from osler.draft.language_model.exchange import ChatClient
from osler.draft.language_model.writer import LanguageModelWriter
from osler.errors import OslerError
from osler.publish.hosts import AllowedHosts
from osler.scribe.papers import Paper
from osler.storage import Database
from scribe_lab import ANN, CLINICIAN, PATIENT, REFUSED, Killed, Lab
from scribe_site import conversation

CANARIES = ("Quillfeather", "Ottoline", "ZQ-4711-88", "Marrowbone", "Featherstonehaugh", "555-0137")
SPOKEN = conversation(
    [
        (CLINICIAN, "Good morning, Ottoline Quillfeather. I am Doctor Featherstonehaugh."),
        (PATIENT, "I have had a cough for three days, and no fever."),
        (PATIENT, "My number is ZQ-4711-88, and I still live at 12 Marrowbone Street. Call me on 212-555-0137."),
        (PATIENT, "I take lisinopril 10 milligrams every morning."),
        (CLINICIAN, "Well, Ms. Quillfeather, this is acute bronchitis, I think."),
        (CLINICIAN, "Start azithromycin 250 milligrams daily, Ottoline, and come back in a week."),
    ]
)
PERSON = {
    "resourceType": "Patient",
    "id": "P7",
    "identifier": [{"system": "urn:mrn", "value": "ZQ-4711-88"}],
    "name": [{"family": "Quillfeather", "given": ["Ottoline"]}],
    "address": [{"line": ["12 Marrowbone Street"]}],
    "telecom": [{"system": "phone", "value": "212-555-0137"}],
}


def broken(_asked: Asked) -> Answer:
    return Answer(b"no JSON at all", status=200)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[OpenAIServer]:
    with OpenAIServer(getattr(request, "param", repeating)) as started:
        yield started


@pytest.fixture
def logs() -> Iterator[list[str]]:
    lines: list[str] = []

    class Keeping:
        def __getattr__(self, _name: str) -> Callable[..., None]:
            return lambda *words, **more: lines.append(repr((words, more)))

    structlog.configure(logger_factory=lambda *_: Keeping(), cache_logger_on_first_use=False)
    yield lines
    structlog.reset_defaults()


def hidden(text: str) -> bool:
    return not any(canary.casefold() in text.casefold() for canary in CANARIES)


def all_rows(database: Database) -> str:
    """Return every row of every table as it is kept."""
    with database.read() as connection:
        names = inspect(connection).get_table_names()
        return "\n".join(repr(connection.exec_driver_sql(f'SELECT * FROM "{name}"').all()) for name in names)


@pytest.mark.parametrize("server", [repeating, broken], indirect=True)
def test_nobody_is_named_where_nobody_may_be(
    database: Database, tmp_path: Path, server: OpenAIServer, logs: list[str]
) -> None:
    hosts = AllowedHosts(["127.0.0.1"], setting="hosts")
    client = ChatClient(Endpoint(f"{server.url}/v1", "", "", 20.0), hosts=hosts, tls=lambda: None)
    lab = Lab(database, tmp_path, writers=[LanguageModelWriter(client), ExtractiveWriter()])
    lab.put(PERSON)
    lab.ear.transcript = SPOKEN
    key = lab.open(patient="P7")
    lab.capture.add(ANN, key, [(0, 0, b"RIFF\0\0\0\0WAVE" + b"Ottoline Quillfeather")])
    lab.capture.finish(ANN, key)

    def fails() -> None:
        raise ValueError("Ottoline Quillfeather")

    lab.ear.meanwhile = fails
    assert lab.steps.transcribe()
    lab.ear.meanwhile = lambda: None
    for _ in range(8):
        lab.now += 60
        lab.steps.transcribe()
        lab.steps.draft()
    assert lab.held(key).state.value == "drafted", lab.held(key).reason
    said = "".join(str(one.body) for one in server.asked)
    assert "cough" in said
    assert hidden(said), "what the language model received"

    note = lab.note(key)
    assert "cough" in str(note)
    first = note["sections"][0]["statements"][0]["id"] if note["sections"][0]["statements"] else REFUSED
    lab.reviewing.add(ANN, key, 1, note["sections"][0]["key"], "Ottoline Quillfeather coughs.", utterances=[2])
    lab.reviewing.remove(ANN, key, 2, first)
    refused: list[str] = []
    for wrong in (
        lambda: lab.reviewing.edit(ANN, key, 9, first, "Ottoline Quillfeather"),
        lambda: lab.reviewing.edit(ANN, key, 3, "Quillfeather", "Ottoline"),
        lambda: lab.reviewing.add(ANN, key, 3, "Quillfeather", "Ottoline"),
        lambda: lab.reviewing.code(ANN, key, 3, "Quillfeather", accepted=True),
        lambda: lab.reviewing.read(ANN, "Quillfeather", Paper.NOTE),
        lambda: lab.capture.transcript(ANN, key, SPOKEN),
    ):
        with pytest.raises(OslerError) as raised:
            wrong()
        refused.append(f"{raised.value!r} {raised.value.__cause__!r}")
    lab.sign(key)
    while lab.deliveries.step():
        pass
    lab.now += 4000
    assert lab.delete_due_audio()

    assert "Quillfeather" in str(lab.reviewing.read(ANN, key, Paper.SIGNED)[1]), "the signed note has the names back"
    assert hidden("\n".join(refused)), "errors"
    assert logs
    assert hidden("\n".join(logs)), "logs"
    assert hidden(all_rows(database)), "the ledger, the audit among it"
    assert hidden(repr(lab.audit.search(limit=500))), "the audit"
    for path in tmp_path.rglob("*"):
        assert hidden(str(path.relative_to(tmp_path))), "names of files"
        if path.is_file():
            assert hidden(path.read_bytes().decode("latin-1")), "files"
    assert hidden(repr(lab.held(key)) + repr(SPOKEN) + repr(SPOKEN.utterances))


def test_a_step_that_dies_leaves_nothing_open_on_the_disk(database: Database, tmp_path: Path) -> None:
    lab = Lab(database, tmp_path)
    lab.put(PERSON)
    key = lab.open(patient="P7")
    lab.capture.add(ANN, key, [(0, 0, b"RIFF\0\0\0\0WAVE" + b"Ottoline Quillfeather")])
    lab.capture.finish(ANN, key)

    def dies() -> None:
        raise Killed

    lab.ear.meanwhile = dies
    with pytest.raises(Killed):
        lab.steps.transcribe()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert all(hidden(path.read_bytes().decode("latin-1")) for path in files)
