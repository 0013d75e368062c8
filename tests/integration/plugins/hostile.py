"""A model that tries to get out of its sandbox and says in its reasons what it could do."""

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from osler.errors import PluginError
from osler.plugins import Case, LoadContext, Prediction, Selection, Study
from osler.testing import FakeModel

HERE = Path(__file__).resolve()
PARENT = os.getppid()


def _attempts() -> Iterator[tuple[str, Callable[[], object]]]:
    secret = Path(os.readlink(HERE.parent / "secret")) if (HERE.parent / "secret").is_symlink() else Path("/etc/shadow")
    libc = ctypes.CDLL(None, use_errno=True)

    def checked(result: int) -> int:
        if result < 0:
            raise OSError(ctypes.get_errno(), "refused")
        return result

    def bomb() -> None:
        for _ in range(100_000):
            if os.fork() == 0:
                os._exit(0)

    yield "open an internet socket", lambda: socket.socket(socket.AF_INET).close()
    yield "open a Unix socket", lambda: socket.socket(socket.AF_UNIX).close()
    yield "open a pair of sockets", lambda: socket.socketpair()[0].close()
    yield "resolve a name", lambda: socket.create_connection(("127.0.0.1", 80), 1).close()
    yield "set up io_uring", lambda: checked(libc.syscall(425, 1, ctypes.create_string_buffer(256)))
    yield "read the key", secret.read_bytes
    yield "list the data folder", lambda: os.listdir(secret.parent)
    yield "see the data folder", lambda: (secret.parent / "osler.db").read_bytes()
    yield "list the spools", lambda: os.listdir("..")
    yield "list the spool of another", lambda: os.listdir(HERE.parent / "other")
    yield "read the study of another by its name", lambda: (HERE.parent / "other" / "in" / "job" / "0.dcm").read_bytes()
    yield "write into the spool of another", lambda: (HERE.parent / "other" / "out" / "planted").write_bytes(b"x")
    yield "change its own package", lambda: HERE.open("ab").close()
    yield "leave something in shared memory", lambda: Path("/dev/shm/osler-hostile").write_bytes(b"x")
    yield "ask the kernel for routes", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    yield "speak raw", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    yield "start a thousand processes", bomb
    yield "fill the disk with files", lambda: _write_many(Path("in"))
    yield "list /", lambda: os.listdir("/")
    yield "list /tmp", lambda: os.listdir("/tmp")
    yield "list home", lambda: os.listdir(os.path.expanduser("~root"))
    yield "read /etc/passwd", lambda: Path("/etc/passwd").read_bytes()
    yield "read the hub's environment", lambda: Path(f"/proc/{PARENT}/environ").read_bytes()
    yield "read the hub's memory", lambda: Path(f"/proc/{PARENT}/mem").open("rb").close()
    yield "list processes", lambda: os.listdir("/proc")
    yield "write beside the data", lambda: (secret.parent / "planted").write_bytes(b"x")
    yield "write to /tmp", lambda: Path("/tmp/osler-hostile").write_bytes(b"x")
    yield "write into Python", lambda: Path(os.__file__).with_name("osler_hostile.py").write_bytes(b"x")
    yield "write into its own package", lambda: HERE.with_name("planted.py").write_bytes(b"x")
    yield "write into in", lambda: Path("in/planted").write_bytes(b"x")
    yield "write into the spool's root", lambda: Path("planted").write_bytes(b"x")
    yield "link to the outside", lambda: os.symlink("/etc/passwd", "out/link")
    yield "link the input into out", lambda: os.link(next(Path("in").glob("*/*.dcm")), "out/linked")
    yield "change an input file", lambda: next(Path("in").glob("*/*.dcm")).open("r+b").close()
    yield "shorten an input file", lambda: os.truncate(next(Path("in").glob("*/*.dcm")), 0)
    yield "make an input file writable", lambda: os.chmod(next(Path("in").glob("*/*.dcm")), 0o777)
    yield "remove an input file", lambda: next(Path("in").glob("*/*.dcm")).unlink()
    yield "fork", bomb
    yield "start a program", lambda: subprocess.run(["/bin/true"], check=True)
    yield "become a program", lambda: os.execv("/bin/true", ["true"])
    yield "take 100 GB", lambda: mmap.mmap(-1, 100 * 2**30)
    yield "lift its limits", lambda: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
    yield "limit the hub", lambda: resource.prlimit(PARENT, resource.RLIMIT_NOFILE, (1, 1))
    yield "write a file of 300 MB", lambda: _write_large(Path("out/large"))
    yield "end the hub", lambda: os.kill(PARENT, signal.SIGTERM)
    yield "ask whether the hub is there", lambda: os.kill(PARENT, 0)
    yield "end everybody", lambda: os.kill(-1, signal.SIGTERM)
    yield "trace the hub", lambda: checked(libc.ptrace(16, PARENT, 0, 0))
    yield "read the hub's memory by call", lambda: checked(libc.process_vm_readv(PARENT, 0, 0, 0, 0, 0))
    yield "outlive the hub", lambda: checked(libc.prctl(1, 0, 0, 0, 0))
    yield "slow the hub down", lambda: os.setpriority(os.PRIO_PROCESS, PARENT, 19)
    yield "enter another namespace", lambda: checked(libc.unshare(0x10000000))
    yield "mount", lambda: checked(libc.mount(b"none", b"/tmp", b"tmpfs", 0, None))
    yield "keep memory in a file", lambda: os.close(os.memfd_create("hoard"))
    yield "become root", lambda: os.setuid(0) if os.getuid() != 0 else checked(libc.syscall(161, b"/"))


def _write_many(folder: Path) -> None:
    for number in range(10_000):
        (folder / str(number)).touch()


def _limits() -> dict[str, int]:
    names = ("AS", "CORE", "FSIZE", "NOFILE", "NPROC")
    return {name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[1] for name in names}


def _interfaces() -> list[str]:
    lines = Path("/proc/self/net/dev").read_text(encoding="ascii").splitlines()[2:]
    return [line.partition(":")[0].strip() for line in lines]


def _write_large(path: Path) -> None:
    block = b"\0" * 2**20
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with path.open("wb") as stream:
        for _ in range(300):
            stream.write(block)


def _seen() -> list[str]:
    """The interfaces of the network, which are those of a namespace of its own."""
    return [f"interfaces {_interfaces()}"]


class Hostile(FakeModel):
    def __init__(self) -> None:
        super().__init__("hostile", code_file=__file__)

    def load(self, context: LoadContext) -> None:
        Path("out/home").write_text("writing into out is allowed", encoding="ascii")

    def select(self, study: Study) -> Selection:
        return Selection(tuple(Case(i.series_instance_uid, (i,)) for i in study.instances))

    def predict(self, case: Case) -> Prediction:
        done, tried = [], 0
        for name, attempt in _attempts():
            tried += 1
            with contextlib.suppress(OSError, MemoryError, RuntimeError, ValueError):
                attempt()
                done.append(name)
        prediction = super().predict(case)
        return Prediction(
            prediction.findings,
            outside_intended_use=(
                f"tried {tried}",
                f"environment {sorted(os.environ)}",
                f"limits {_limits()}",
                *_seen(),
                *done,
            ),
        )


def hostile() -> Hostile:
    if os.environ.get("OSLER_MASTER_KEY"):
        raise PluginError("the master key is in the environment")
    return Hostile()
