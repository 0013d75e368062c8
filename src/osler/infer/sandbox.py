"""The boundary around a model, drawn by the kernel before any of the model's code runs (Linux).

==============  ========================================================================================
layer           what it takes away
==============  ========================================================================================
namespaces      the network (not even loopback), System V IPC; the process has no capability left
limits          memory beyond ``memory_mb``, files larger than 256 MB, core dumps, a flood of threads
Landlock        every file but Python, its packages and the spool; writing anywhere but in the spool
seccomp         sockets, new processes and programs, signals to others, tracing, mounts, ownership
==============  ========================================================================================

What could not be applied is reported, never passed over in silence. Only the standard library is imported here, and
no thread may run yet: a user namespace is for a process of one thread.
"""

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from osler.infer import landlock, seccomp

_CLONE_NEWUSER, _CLONE_NEWNET, _CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION_3: Final = 0x20080522
_LARGEST_FILE: Final = 256 * 2**20
_MOST_FILES: Final = 1024
MOST_THREADS: Final = 512
_SYSTEM_READABLE: Final = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share/zoneinfo",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
    "/proc/self",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """Which layers hold, and why the others do not.

    Parameters
    ----------
    applied : tuple of str
        Names of the layers in force.
    missing : tuple of str
        One sentence for each layer that the system refused, and for each check that failed.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether every layer holds."""
        return not self.missing


def apply(
    *,
    readable: Iterable[Path],
    spool: Path,
    memory_mb: int | None,
    protected: Iterable[Path],
    devices: Iterable[Path] = (),
) -> SandboxReport:
    """Draw the boundary around this process; it cannot be undone.

    Parameters
    ----------
    readable : iterable of Path
        Where the model's package lies, besides Python's own search path.
    spool : Path
        Folder with ``in`` (read) and ``out`` (read and write).
    memory_mb : int or None
        Address space, MB; None for no limit.
    protected : iterable of Path
        What must not be readable afterwards (the data folder); it is tried.
    devices : iterable of Path
        Device files of a GPU that it may use.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    steps = {
        "no new privileges": _no_new_privileges(libc),
        "network namespace": _namespaces(libc),
        "no capabilities": _drop_capabilities(libc),
        "limits": _limit(memory_mb),
        "ends with its parent": _end_with_parent(libc),
        "Landlock": landlock.restrict(
            readable=[*map(Path, _SYSTEM_READABLE), *_python_paths(), *readable, spool],
            usable=[Path("/dev/null"), *devices],
            writable=[spool / "out"],
        ),
        "seccomp": seccomp.install(),
    }
    applied = tuple(name for name, problem in steps.items() if problem is None)
    missing = [f"{name}: {problem}" for name, problem in steps.items() if problem is not None]
    missing += [f"the folder {path} is still readable" for path in protected if _is_readable(path)]
    return SandboxReport(applied, tuple(missing))


def _no_new_privileges(libc: ctypes.CDLL) -> str | None:
    return _failure(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _namespaces(libc: ctypes.CDLL) -> str | None:
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) != 0:
        problem = os.strerror(ctypes.get_errno())
        if libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC) != 0:
            return problem
        return None
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1", encoding="ascii")
    except OSError:
        return None  # without a map the process is nobody, which is no worse
    # Counted in the namespace alone: the limit does not touch the other processes of the user.
    resource.setrlimit(resource.RLIMIT_NPROC, (MOST_THREADS, MOST_THREADS))
    return None


def _drop_capabilities(libc: ctypes.CDLL) -> str | None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    return _failure(libc.capset(header, none))


def _limit(memory_mb: int | None) -> str | None:
    limits = {
        resource.RLIMIT_AS: resource.RLIM_INFINITY if memory_mb is None else memory_mb * 2**20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: _LARGEST_FILE,
        resource.RLIMIT_NOFILE: _MOST_FILES,
    }
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        lower = (
            value if hard == resource.RLIM_INFINITY else hard if value == resource.RLIM_INFINITY else min(value, hard)
        )
        resource.setrlimit(kind, (lower, lower))
    return None


def _end_with_parent(libc: ctypes.CDLL) -> str | None:
    parent = os.getppid()
    problem = _failure(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    if os.getppid() != parent:  # it ended before the call; the closed pipe will end us
        sys.exit(0)
    return problem


def _python_paths() -> Iterator[Path]:
    yield from map(Path, (sys.prefix, sys.base_prefix))
    yield from (Path(entry) for entry in sys.path if entry)


def _is_readable(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True


def _failure(result: int) -> str | None:
    return None if result == 0 else os.strerror(ctypes.get_errno())
