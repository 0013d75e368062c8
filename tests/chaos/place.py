"""A hub with worker hosts, a database, a broker, and peers on loopback, all of which may be struck while work flows."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pydicom

from acceptance.running import RunningHub, destination_pacs, destination_pager, eventually
from conftest import find_program
from osler.storage import Database
from osler.storage.database import sqlite_url
from osler.testing.models import install
from osler.testing.peers import Pacs, Pager, free_ports
from postgresql_peer import PostgresqlServer
from rabbitmq_server import RabbitServer
from tcp_proxy import TcpProxy

WORKERS = 2
DISK_MB = 1024
LEASE_S = 5.0
_ROLES = "dimse,mllp,http,deidentifier,publisher"
_SETTINGS = f"""
[study]
quiet_s = 0.3
[storage]
min_free_mb = 0
[queue]
lease_s = {LEASE_S}
backoff_s = 0.5
max_attempts = 1000
republish_s = 3
[publish]
backoff_s = 0.5
max_attempts = 1000
[alert]
escalate_s = 1e9
"""  # a reminder would be a second message


@dataclass
class Arrivals:
    """What has come to the PACS and to the pager."""

    pacs: Pacs
    pager: Pager
    documents: dict[str, set[str]] = field(default_factory=dict)
    """SOP Instance UIDs of the SRs, by Study Instance UID."""
    alerts: dict[str, set[str]] = field(default_factory=dict)
    """Idempotency keys of the alerts, by the study that they name."""
    unsigned: int = 0
    repeated: int = 0
    """What came again as what it was, which a receiver can tell."""
    _stored: int = 0
    _paged: int = 0

    def look(self) -> None:
        """Take in what has come since."""
        for uid in self.pacs.received[self._stored :]:
            self._stored += 1
            document = pydicom.dcmread(self.pacs.folder / f"{uid}.dcm", specific_tags=["StudyInstanceUID"])
            self._note(self.documents, str(document.StudyInstanceUID), uid)
        for message in self.pager.messages[self._paged :]:
            self._paged += 1
            self.unsigned += not message.signed
            self._note(self.alerts, message.body["study"], message.headers["Idempotency-Key"])

    def _note(self, found: dict[str, set[str]], study: str, one: str) -> None:
        held = found.setdefault(study, set())
        self.repeated += one in held
        held.add(one)


class Place:
    """All of it, running; ``close`` it in the end.

    Parameters
    ----------
    folder : Path
        Empty.
    servers : bool
        PostgreSQL and RabbitMQ; else SQLite and the embedded queue.
    """

    def __init__(self, folder: Path, *, servers: bool) -> None:
        self.folder = folder
        self.servers = servers
        self._undo = contextlib.ExitStack()
        self.database_server: PostgresqlServer | None = None
        self.broker: RabbitServer | None = None
        self.links: dict[str, TcpProxy] = {}
        self.restarts = 0
        self._workers: list[subprocess.Popen[bytes] | None] = [None] * WORKERS
        with self._undo:
            self._open()
            self._undo = self._undo.pop_all()

    def _open(self) -> None:
        pacs = Pacs(self.folder / "pacs")
        self._undo.callback(pacs.stop)
        pager = Pager("a long secret of the pager")
        self._undo.callback(pager.stop)
        self.arrivals = Arrivals(pacs, pager)
        stores = self._stores()  # first: the servers choose ports of their own
        dimse, http, mllp = free_ports(3)
        for name, port in {"pacs": pacs.address.rpartition(":")[2], "pager": pager.url.split(":")[2].split("/")[0],
                           "dimse": dimse, "http": http, "mllp": mllp}.items():  # fmt: skip
            self._link(name, ("127.0.0.1", int(port)))
        self.hub = RunningHub(self.folder / "data", dimse, http)
        self._mllp_port = mllp
        self.hub.data_dir.mkdir()
        self.disk = self._mount(self.hub.data_dir)
        self.clock = self._settable_clock()
        install(self.folder / "models", {"fake": "osler.testing.models:fake"})
        models = f'[models]\nenabled = ["fake"]\nfolders = ["{self.folder / "models"}"]\n'
        common = stores + models
        peers = destination_pacs(f"127.0.0.1:{self.links['pacs'].port}", "PACS")
        peers += destination_pager(pager).replace(pager.url, f"http://127.0.0.1:{self.links['pager'].port}/alert")
        (self.hub.data_dir / "osler.toml").write_text(common + peers, encoding="utf-8")
        self.hub.osler("init", "--admin-password-stdin", stdin="correct horse battery\n")
        self.hub.add_client()
        (self.folder / "serve.log").touch()
        for number in range(WORKERS):
            folder = self.folder / f"worker{number}"
            folder.mkdir()
            blobs = f'[storage]\nblobs = "{self.hub.data_dir / "blobs"}"\ndatabase = "{self._database_url()}"\n'
            text = common.replace(f'database = "{self._database_url()}"\n', "").replace("[storage]\n", blobs, 1)
            (folder / "osler.toml").write_text(text, encoding="utf-8")
        self.ledger = Database(self._own_url())
        self._undo.callback(self.ledger.close)
        self._undo.callback(self._end)
        self.launch_hub()
        eventually(self.hub.ready, f"the hub is ready\n{self.hub.log}")
        for number in range(WORKERS):
            self.launch_worker(number)

    def close(self) -> None:
        """End it all."""
        self._undo.close()

    def _end(self) -> None:
        self.hub.kill()
        for number in range(WORKERS):
            self.kill_worker(number)

    def _link(self, name: str, address: tuple[str, int] | str) -> TcpProxy:
        self.links[name] = TcpProxy(address)
        self._undo.callback(self.links[name].close)
        return self.links[name]

    def _stores(self) -> str:
        """Start database and broker when there are any; return the settings."""
        if not self.servers:
            return _SETTINGS
        self.database_server = PostgresqlServer(_program("initdb"), _program("postgres"))
        self._undo.callback(self.database_server.remove)
        self.database_server.start()
        with psycopg.connect(self.database_server.url(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE chaos")
        self._link("database", str(self.database_server.folder / ".s.PGSQL.5432"))
        self.broker = RabbitServer(_program("/usr/lib/rabbitmq/bin/rabbitmq-server"), _program("epmd"))
        self._undo.callback(self.broker.close)
        self.broker.start()
        self._link("broker", ("127.0.0.1", self.broker.port))
        password = self.folder / "password"
        password.write_text("guest\n")
        url = f"amqp://guest@127.0.0.1:{self.links['broker'].port}/"
        queue = f'[queue]\nurl = "{url}"\npassword_file = "{password}"\n'
        text = _SETTINGS.replace("[queue]\n", queue)
        return text.replace("[storage]\n", f'[storage]\ndatabase = "{self._database_url()}"\n')

    def _database_url(self) -> str:
        """Return the address of the database as the hub and the workers have it: over the link."""
        if not self.servers:
            return sqlite_url(self.hub.data_dir / "osler.db")
        return f"postgresql://osler@127.0.0.1:{self.links['database'].port}/chaos"

    def _own_url(self) -> str:
        return self._database_url() if self.database_server is None else self.database_server.url("chaos")

    def _mount(self, folder: Path) -> Path | None:
        """Give a folder a small disk of its own; None when this user may not."""
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=700", "osler-chaos", str(folder)]
        if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
            return None
        self._undo.callback(subprocess.run, ["umount", "--lazy", str(folder)], check=False)
        return folder

    def _settable_clock(self) -> Path:
        """Let hub and workers read from a file how far their clock is ahead."""
        clock = self.folder / "clock"
        clock.write_text("0")
        self.hub.environ |= {"PYTHONPATH": str(Path(__file__).parent / "clock"), "CHAOS_CLOCK": str(clock)}
        return clock

    # ------------------------------------------------------------------------------------------------ processes

    def launch_hub(self) -> None:
        """Start the hub; return at once."""
        self.hub.kill()
        self.hub.launch("--mllp", f"127.0.0.1:{self._mllp_port}", "--roles", _ROLES)

    def launch_worker(self, number: int) -> None:
        """Start a host of workers; return at once."""
        self.kill_worker(number)
        as_worker = RunningHub(self.folder / f"worker{number}", 0, 0, environ=self.hub.environ)
        self._workers[number] = as_worker.spawn("worker")

    def kill_worker(self, number: int) -> None:
        """End a host of workers as a power cut would."""
        worker, self._workers[number] = self._workers[number], None
        if worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()

    def signal_hub(self, number: signal.Signals) -> None:
        """Send the hub and its children a signal, if it runs."""
        _signal(self.hub.process, number)

    def signal_worker(self, which: int, number: signal.Signals) -> None:
        """Send a host of workers and its children a signal, if it runs."""
        _signal(self._workers[which], number)

    def kill_models(self) -> None:
        """End the processes in which models run, and leave the workers that they belong to."""
        for pid in _model_processes({worker.pid for worker in self._workers if worker is not None}):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def supervise(self) -> None:
        """Start again what has ended by itself, as a supervisor of services does."""
        if self.hub.process is not None and self.hub.process.poll() is not None:
            self.restarts += 1
            self.launch_hub()
        for number, worker in enumerate(self._workers):
            if worker is not None and worker.poll() is not None:
                self.restarts += 1
                self.launch_worker(number)

    # ----------------------------------------------------------------------------------------------------- disk

    def fill_disk(self) -> None:
        """Leave no byte on the disk of the hub."""
        if self.disk is None:
            return
        with (self.disk / "filler").open("ab", buffering=0) as filler, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while shutil.disk_usage(self.disk).free >= size:
                        filler.write(bytes(size))

    def free_disk(self) -> None:
        """Give it back."""
        if self.disk is not None:
            (self.disk / "filler").unlink(missing_ok=True)

    # ---------------------------------------------------------------------------------------------------- clock

    def set_clock(self, ahead_s: float) -> None:
        """Set the clock of hub and workers, not of the servers, so far ahead; 0 is right."""
        passing = self.clock.with_suffix(".new")
        passing.write_text(str(ahead_s))
        passing.replace(self.clock)


def _program(name: str) -> str:
    path = find_program(name)
    assert path is not None, f"{name} is not on this machine"
    return path


def _signal(process: "subprocess.Popen[bytes] | None", number: signal.Signals) -> None:
    if process is not None and process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _model_processes(parents: set[int]) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, IndexError):
            if not entry.name.isdecimal() or b"osler.infer.process" not in (entry / "cmdline").read_bytes():
                continue
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) in parents:
                yield int(entry.name)


def poll(what: Callable[[], bool], within_s: float, place: Place, every_s: float = 0.1) -> bool:
    """Wait until something is so, and keep the processes running meanwhile; whether it came to be in time."""
    deadline = time.monotonic() + within_s
    while not what():
        if time.monotonic() > deadline:
            return False
        place.supervise()
        time.sleep(every_s)
    return True
