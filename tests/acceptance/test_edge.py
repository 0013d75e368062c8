"""A site with a hub behind it: two programs, mutual TLS, a link that fails, and processes that die."""

import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pydicom
import pytest

from acceptance.running import RunningHub, destination_pacs, eventually, radiograph
from osler.ingest.folder import Outcome, send
from osler.testing.models import install
from osler.testing.peers import Pacs
from tcp_proxy import TcpProxy
from tls_authority import Authority

MakeHub = Callable[..., RunningHub]
SECRET = "the secret of the clinic"
HEAVY = """
from osler.testing.models import FakeModel

def heavy():
    return FakeModel("heavy", code_file=__file__)
"""


class Centre(RunningHub):
    """A hub whose HTTP side speaks TLS and asks for certificates."""

    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return f"https://localhost:{self.http_port}"

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5, verify=self.trust).status_code == 200
        except httpx.TransportError:
            return False


@dataclass
class Group:
    """A hub, an edge, and the link between them."""

    hub: Centre
    edge: RunningHub
    link: TcpProxy
    pacs: Pacs
    folder: Path
    authority: Path

    def start_edge(self) -> None:
        addresses = ("--http", f"127.0.0.1:{self.edge.http_port}", "--dimse", f"127.0.0.1:{self.edge.dimse_port}")
        self.edge.process = self.edge.spawn("edge", "--hub", f"https://localhost:{self.link.port}", *addresses)
        eventually(self.edge.ready, f"the edge is ready\n{self.edge.log}")

    def send(self, number: int) -> str:
        """Send a study of a patient of its own; return its Study Instance UID."""
        path = radiograph(self.folder, f"{number}.dcm", PatientID=f"MRN-{number:04}", AccessionNumber=f"ACC{number}")
        report = send([path], address=("127.0.0.1", self.edge.dimse_port))
        assert [one.outcome for one in report.files] == [Outcome.SENT]
        return str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID)

    def reports(self) -> set[tuple[str, str]]:
        """Return study and model of each report in the PACS, and check that it is of the right patient."""
        found = [pydicom.dcmread(path) for path in self.pacs.folder.glob("*.dcm")]
        named = [(str(one.StudyInstanceUID), "heavy" if "heavy" in str(one) else "fake") for one in found]
        assert len(set(named)) == len(named), "a report stands twice in the PACS"
        return set(named)

    def states(self) -> list[str]:
        return sorted(row["state"] for row in self.edge.json("edge", "list"))


@pytest.fixture
def group(make_hub: MakeHub, pacs: Pacs, tmp_path: Path):  # type: ignore[no-untyped-def]
    authority = Authority(tmp_path)
    models = install(tmp_path / "heavy", {"heavy": "heavy_model:heavy"}, package="heavy-model")
    (models / "heavy_model.py").write_text(HEAVY)
    enabled = f'[models]\nenabled = ["heavy"]\nfolders = ["{models}"]\n'
    made = make_hub(enabled + authority.settings("centre", "http"), fake_model=False)
    hub = Centre(made.data_dir, made.dimse_port, made.http_port)
    hub.trust = ssl.create_default_context(cafile=str(authority.file))
    hub.trust.load_cert_chain(*authority.issue("prober"))
    added = hub.osler("client", "add", "clinic", "--scope", "osler/spoke", "--secret-stdin", "--json", stdin=SECRET)
    link = TcpProxy(("127.0.0.1", hub.http_port))
    secret = tmp_path / "hub.secret"
    secret.touch(0o600)
    secret.write_text(SECRET)
    known = f'[edge]\nclient_id = "{json.loads(added)["client_id"]}"\nsecret_file = "{secret}"\nretry_s = 0.2\n'
    edge = make_hub(authority.settings("clinic") + known + destination_pacs(pacs.address, "PACS"))
    yield Group(hub, edge, link, pacs, tmp_path / "images", authority.file)
    hub.kill()
    link.close()


def test_what_is_sent_while_the_hub_is_away_is_read_at_once_and_forwarded_later(group: Group) -> None:
    group.hub.start()
    group.start_edge()
    first = group.send(1)
    eventually(lambda: group.reports() == {(first, "fake"), (first, "heavy")}, f"both reports\n{group.edge.log}")

    group.link.cut()
    later = [group.send(number) for number in (2, 3)]
    eventually(lambda: {(uid, "fake") for uid in later} <= group.reports(), "the light model reads without the hub")
    group.edge.kill()
    group.hub.kill()
    group.start_edge()
    assert group.states() == ["answered", "waiting", "waiting"]
    group.hub.start()
    group.link.restore()

    everything = {(uid, model) for uid in (first, *later) for model in ("fake", "heavy")}
    eventually(lambda: group.reports() == everything, f"the hub's reports\n{group.edge.log}")
    eventually(lambda: group.states() == ["answered"] * 3, "all are answered")
    group.edge.settled(12)
    assert sorted(job["state"] for job in group.hub.json("queue", "list")) == ["completed"] * 3
    check_nobody_is_named(group.hub)
    for one in (group.edge, group.hub):
        assert one.stop() == 0
        assert one.json("audit", "verify")["verified"] is True


def check_nobody_is_named(hub: RunningHub) -> None:
    """Look for the patients in every file of the hub."""
    files = [path for path in hub.data_dir.parent.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        for word in (b"MRN-", b"Doe", b"ACC1", b"House^"):
            assert word not in content, f"{path.name} at the hub names a patient"


def test_a_link_that_breaks_again_and_again_and_kills_lose_nothing(group: Group) -> None:
    group.hub.start()
    group.start_edge()
    studies = []
    for number in range(6):
        studies.append(group.send(10 + number))
        if number % 2:
            group.link.cut()
            group.link.restore()
        else:
            (group.edge if number % 4 else group.hub).kill()
            group.start_edge() if number % 4 else group.hub.start()

    everything = {(uid, model) for uid in studies for model in ("fake", "heavy")}
    eventually(lambda: group.reports() == everything, f"all reports\n{group.edge.log}")
    eventually(lambda: group.states() == ["answered"] * 6, "all are answered")
    jobs = group.hub.json("queue", "list")
    assert len(jobs) == len({job["study_uid"] for job in jobs}) == 6


def test_without_a_hub_or_its_secret_there_is_no_edge(make_hub: MakeHub) -> None:
    edge = make_hub('[edge]\nclient_id = "x"\nsecret_file = "gone.secret"\n')
    edge.osler("edge", ok=(2,))
    edge.osler("edge", "--hub", "https://localhost:1", ok=(2,))
    edge.osler("edge", "retry", "2.25.1", ok=(1,))
    assert edge.json("edge", "list") == []


def test_a_spoke_may_do_nothing_else(group: Group) -> None:
    group.hub.start()
    known = next(line for line in (group.edge.data_dir / "osler.toml").read_text().split("\n") if "client_id" in line)
    client_id = known.split('"')[1]
    with httpx.Client(base_url=group.hub.url, verify=group.hub.trust) as client:
        answer = client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, SECRET))
        token = {"authorization": f"Bearer {answer.json()['access_token']}"}

        assert answer.json()["scope"] == "osler/spoke"
        assert client.get("/fhir/R4/Patient", headers=token).status_code == 403
        assert client.post("/dicom-web/studies", headers=token).status_code == 403
        assert client.get("/spoke/studies/2.25.1", headers=token).status_code == 404
        assert client.get("/spoke/studies/2.25.1").status_code == 401
    with pytest.raises(httpx.TransportError):  # mutual TLS: whoever shows no certificate is not even heard
        httpx.get(f"{group.hub.url}/health/live", verify=ssl.create_default_context(cafile=str(group.authority)))
    group.hub.osler("client", "add", "x", "--scope", "osler/spoke system/*.rs", "--secret-stdin", stdin=SECRET, ok=(2,))
