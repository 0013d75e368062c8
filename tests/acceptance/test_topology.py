"""Two sites, a hub, engines and two worker hosts, each a network namespace, and links and hosts that fail at work.

::

    site-a: edge, PACS ──wan-a── hub ──wan-b── site-b: scanner and PACS
                                  │
                        data: database, broker, worker-1, worker-2

Everything that crosses a network speaks TLS and shows a certificate. Blobs lie in a folder that hub and workers share.
"""

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pydicom
import pytest

from acceptance.running import RunningHub, destination_pacs, environment, eventually, radiograph
from network import Network
from osler.ingest.folder import Outcome, send
from osler.testing.peers import Pacs
from postgresql_peer import PostgresqlServer
from rabbitmq_server import RabbitServer
from tls_authority import Authority

MakeHub = Callable[..., RunningHub]
SECRET = "the secret of site A"
NETWORKS = {
    "wan-a": ("hub", "site-a"),
    "wan-b": ("hub", "site-b"),
    "data": ("hub", "database", "broker", "worker-1", "worker-2"),
}
HTTPS, DICOM_TLS, POSTGRESQL, AMQPS = 8443, 2762, 5432, 5671
ROLES = "dimse,http,deidentifier,publisher"


@pytest.fixture
def network(need: Callable[..., str]) -> Iterator[Network]:
    need("ip")
    try:
        made = Network(NETWORKS)
    except PermissionError as refusal:
        pytest.skip(f"this system lets this user make no network namespaces: {refusal}")
    yield made
    made.close()


@dataclass
class Placed(RunningHub):
    """A hub or an edge that runs on a host of the network, with the commands of its operator."""

    network: Network = field(kw_only=True)
    host: str = field(kw_only=True)
    at: str = field(kw_only=True)
    trust: ssl.SSLContext = field(kw_only=True)

    @property
    def url(self) -> str:
        return f"https://{self.at}:{HTTPS}"

    def osler(self, *args: str, stdin: str = "", ok: tuple[int, ...] = (0,)) -> str:
        with self.network.inside(self.host):
            return super().osler(*args, stdin=stdin, ok=ok)

    def spawn(self, *args: str) -> "subprocess.Popen[bytes]":
        with self.network.inside(self.host):
            return super().spawn(*args)

    def launch(self, *options: str) -> None:
        self.process = self.spawn("serve", "--http", f"0.0.0.0:{HTTPS}", "--dimse", f"0.0.0.0:{DICOM_TLS}", *options)

    def start_edge(self, hub: str) -> None:
        addresses = ("--http", f"{self.at}:{HTTPS}", "--dimse", f"{self.at}:{DICOM_TLS}")
        self.process = self.spawn("edge", "--hub", hub, *addresses)
        eventually(self.ready, f"the edge is ready\n{self.log}")

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        with self.network.inside(self.host), contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/ready", timeout=5, verify=self.trust).status_code == 200
        return False


@dataclass
class WorkerHost:
    """``osler worker`` on a host of its own."""

    network: Network
    host: str
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> "WorkerHost":
        command = [sys.executable, "-m", "osler", "worker", "--data-dir", str(self.folder)]
        with self.network.inside(self.host), (self.folder.parent / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log, start_new_session=True)
        return self

    kill = RunningHub.kill


@dataclass
class Group:
    """All of it."""

    network: Network
    hub: Placed
    edge: Placed
    pacs: dict[str, Pacs]
    workers: list[WorkerHost]
    broker: RabbitServer
    scanner: ssl.SSLContext
    folder: Path
    sent: dict[str, set[str]] = field(default_factory=lambda: {"site-a": set(), "site-b": set()})

    def scan(self, site: str) -> None:
        """Send a study of a patient of its own: at site A to the edge, from site B to the hub."""
        number = 1 + sum(len(sent) for sent in self.sent.values())
        path = radiograph(self.folder, f"{number}.dcm", PatientID=f"MRN-{number:04}", AccessionNumber=f"ACC{number}")
        receiver = self.edge.at if site == "site-a" else self.network.address("hub", "wan-b")
        with self.network.inside(site):
            report = send([path], address=(receiver, DICOM_TLS), tls=self.scanner)
        assert [one.outcome for one in report.files] == [Outcome.SENT]
        self.sent[site].add(str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID))

    def reported(self, site: str) -> list[str]:
        """Return the study of each report in the site's PACS, sorted."""
        found = [pydicom.dcmread(path, stop_before_pixels=True) for path in self.pacs[site].folder.glob("*.dcm")]
        return sorted(str(one.StudyInstanceUID) for one in found)

    def all_reported(self) -> bool:
        """Tell whether each study has one report in the PACS of its site, and the hub has answered site A's edge."""
        answered = [row["state"] for row in self.edge.json("edge", "list")] == ["answered"] * len(self.sent["site-a"])
        return answered and all(self.reported(site) == sorted(sent) for site, sent in self.sent.items())


@pytest.fixture
def group(make_hub: MakeHub, network: Network, need: Callable[..., str], tmp_path: Path) -> Iterator[Group]:
    authority = Authority(tmp_path)
    with contextlib.ExitStack() as stack:
        database = start_database(network, authority, need, stack)
        broker, queue = start_broker(network, authority, need, stack)
        pacs = {}
        for site in ("site-a", "site-b"):
            address = network.address(site, "wan-" + site[-1])
            with network.inside(site):
                pacs[site] = Pacs(tmp_path / f"pacs-{site}", host=address)
            stack.callback(pacs[site].stop)
        trust = ssl.create_default_context(cafile=str(authority.file))
        trust.load_cert_chain(*authority.issue("scanner"))

        def place(host: str, at: str, settings: str) -> Placed:
            addresses = [network.address("hub", name) for name in ("wan-a", "wan-b")] if host == "hub" else [at]
            doors = authority.settings(host, "http", "dimse", addresses=addresses)
            with network.inside(host):
                made = make_hub(f'{doors}[dimse]\naccept = ["*@10.81.0.0/16"]\n{settings}')
            return Placed(made.data_dir, DICOM_TLS, HTTPS, network=network, host=host, at=at, trust=trust)

        hub_at, site_a_at = network.address("hub", "wan-a"), network.address("site-a", "wan-a")
        engines = f'[storage]\ndatabase = "{database}"\n[queue]\n{queue}'
        hub = place("hub", hub_at, engines + destination_pacs(pacs["site-b"].address, "PACS"))
        added = hub.osler("client", "add", "site-a", "--scope", "osler/spoke", "--secret-stdin", "--json", stdin=SECRET)
        secret = tmp_path / "site-a.secret"
        secret.touch(0o600)
        secret.write_text(SECRET)
        known = f'[edge]\nclient_id = "{json.loads(added)["client_id"]}"\nsecret_file = "{secret}"\nretry_s = 0.2\n'
        edge = place("site-a", site_a_at, known + destination_pacs(pacs["site-a"].address, "PACS"))
        workers = []
        for host in ("worker-1", "worker-2"):
            folder = tmp_path / host
            folder.mkdir()
            models = f'[models]\nenabled = ["fake"]\nfolders = ["{hub.data_dir.parent / "models"}"]\n'
            blobs = f'blobs = "{hub.data_dir / "blobs"}"\n'
            (folder / "osler.toml").write_text(models + engines.replace("[queue]", f"{blobs}[queue]"))
            workers.append(WorkerHost(network, host, folder))
            stack.callback(workers[-1].kill)
        for one in (hub, edge):
            stack.callback(one.kill)
        yield Group(network, hub, edge, pacs, workers, broker, trust, tmp_path / "images")


def start_database(
    network: Network, authority: Authority, need: Callable[..., str], stack: contextlib.ExitStack
) -> str:
    """Start PostgreSQL on its host; return the URL by which others reach it."""
    at = network.address("database", "data")
    certificate, key = authority.issue("database", [at])
    files = {"ssl_cert_file": certificate, "ssl_key_file": key, "ssl_ca_file": authority.file}
    server = PostgresqlServer(
        need("initdb"),
        need("postgres"),
        [f"listen_addresses={at}", "ssl=on", *(f"{name}={path.name}" for name, path in files.items())],
    )
    stack.callback(server.remove)
    folder = server.folder / "db"
    owner = folder.stat()
    for path in files.values():
        shutil.copy(path, folder / path.name)
        shutil.chown(folder / path.name, owner.st_uid, owner.st_gid)
    with (folder / "pg_hba.conf").open("a") as rules:
        rules.write("hostssl all all 10.81.0.0/16 trust clientcert=verify-ca\n")
    with network.inside("database"):
        server.start()
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE hub")
    ours = authority.issue("client")
    shown = f"sslcert={ours[0]}&sslkey={ours[1]}"
    return f"postgresql://osler@{at}:{POSTGRESQL}/hub?sslmode=verify-full&sslrootcert={authority.file}&{shown}"


def start_broker(
    network: Network, authority: Authority, need: Callable[..., str], stack: contextlib.ExitStack
) -> tuple[RabbitServer, str]:
    """Start RabbitMQ on its host; return it with the settings of those who use it."""
    at = network.address("broker", "data")
    certificate, key = authority.issue("broker", [at])
    settings = (
        f"listeners.ssl.default = {at}:{AMQPS}\nssl_options.cacertfile = {authority.file}\n"
        f"ssl_options.certfile = {certificate}\nssl_options.keyfile = {key}\n"
        "ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\nloopback_users = none\n"
    )
    with network.inside("broker"):
        server = RabbitServer(need("/usr/lib/rabbitmq/bin/rabbitmq-server"), need("epmd"), settings)
        stack.callback(server.close)
        server.start()
    ours = authority.issue("queue")
    query = f"cafile={authority.file}&certfile={ours[0]}&keyfile={ours[1]}"
    return server, f'url = "amqps://guest:guest@{at}:{AMQPS}/?{query}"\n'


def test_a_host_reaches_its_own_networks_and_nothing_else(network: Network) -> None:
    listening = {}
    for name, hosts in NETWORKS.items():
        for host in hosts:
            with network.inside(host):
                listening[host, name] = socket.create_server((network.address(host, name), 4000))
    with contextlib.ExitStack() as stack:
        for door in listening.values():
            stack.enter_context(door)
        reached = set()
        for host in {host for hosts in NETWORKS.values() for host in hosts}:
            for there, name in listening:
                with network.inside(host), contextlib.suppress(OSError):
                    socket.create_connection((network.address(there, name), 4000), timeout=5).close()
                    reached.add((host, there))
    neighbours = {(a, b) for hosts in NETWORKS.values() for a in hosts for b in hosts}
    assert reached == neighbours


def test_links_and_hosts_fail_while_two_sites_send_and_each_study_is_reported_once(group: Group) -> None:
    network = group.network
    group.hub.start("--roles", ROLES)
    for worker in group.workers:
        worker.start()
    group.edge.start_edge(f"https://{group.hub.at}:{HTTPS}")
    group.scan("site-a")
    group.scan("site-b")
    eventually(group.all_reported, f"both sites have their reports\n{group.hub.log}")

    network.cut("site-a", "wan-a")  # the edge works by itself
    network.cut("worker-1", "data")  # whatever it holds goes to the other when its lease has ended
    for site in ("site-a", "site-b", "site-b"):
        group.scan(site)
    group.workers[1].kill()
    group.broker.kill()
    group.scan("site-b")
    network.restore("worker-1", "data")
    with network.inside("broker"):
        group.broker.start()
    group.workers[1].start()
    network.cut("database", "data")
    eventually(lambda: not group.hub.ready(), "a hub that does not reach its database is not ready")
    network.restore("database", "data")
    eventually(group.hub.ready, f"the hub found its database again\n{group.hub.log}")
    group.hub.kill()
    group.hub.start("--roles", ROLES)
    network.restore("site-a", "wan-a")
    group.scan("site-b")
    eventually(group.all_reported, f"all reports\n{group.hub.log}\n{group.edge.log}", within_s=120)

    studies = sum(len(sent) for sent in group.sent.values())
    jobs = group.hub.json("queue", "list")
    assert len(jobs) == len({job["study_uid"] for job in jobs}) == studies
    assert {job["state"] for job in jobs} == {"completed"}
    for one in (group.hub, group.edge):
        assert one.stop() == 0
        assert one.json("audit", "verify")["verified"] is True
