"""A hub whose queue is on RabbitMQ, and a broker that dies and comes back while studies arrive."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance.running import RunningHub, destination_pager, eventually, radiograph
from osler.ingest.folder import Outcome, send
from osler.testing.peers import Pager
from rabbitmq_server import RabbitServer


@pytest.fixture
def broker(need: Callable[..., str]) -> Iterator[RabbitServer]:
    server = RabbitServer(need("/usr/lib/rabbitmq/bin/rabbitmq-server"), need("epmd"))
    try:
        server.start()
        yield server
    finally:
        server.close()


def send_study(hub: RunningHub, folder: Path, number: int) -> None:
    path = radiograph(folder, f"{number}.dcm", PatientID=f"MRN-{number}", AccessionNumber=f"A{number}")
    (file,) = send([path], address=("127.0.0.1", hub.dimse_port)).files
    assert file.outcome is Outcome.SENT


def test_studies_that_came_while_the_broker_was_away_are_read_when_it_is_back(
    make_hub: Callable[..., RunningHub], broker: RabbitServer, pager: Pager, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text("guest\n")
    queue = f'[queue]\nurl = "amqp://guest@127.0.0.1:{broker.port}/"\npassword_file = "{password}"\n'
    hub = make_hub(queue + destination_pager(pager)).start()
    send_study(hub, tmp_path / "studies", 1)
    assert {d["kind"] for d in hub.settled(2)} == {"fhir", "alert"}
    broker.kill()
    send_study(hub, tmp_path / "studies", 2)
    eventually(lambda: [j for j in hub.json("queue", "list") if j["state"] == "scheduled"], "the study is queued")
    eventually(lambda: "queue broker is away" in hub.log, "the log says so")
    assert len(pager.messages) == 1
    broker.start()
    assert len(hub.settled(4)) == 4
    assert len(pager.messages) == 2
    assert hub.stop() == 0
    assert hub.json("audit", "verify")["verified"] is True
