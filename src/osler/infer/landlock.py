"""Landlock: which parts of the file system the process sees, enforced by the kernel (Linux 5.13 and later)."""

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every machine
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE = 1 << 13, 1 << 14
# All rights that each version of the interface knows; what is handled and not granted is refused.
_HANDLED: Final = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
_HANDLED_NET: Final = 0b11  # bind and connect TCP, from version 4
_SCOPED: Final = 0b11  # abstract Unix sockets and signals to processes outside, from version 6

_READ: Final = _READ_FILE | _READ_DIR  # without _EXECUTE: no program may be started
_USE: Final = _READ_FILE | _WRITE_FILE | _TRUNCATE
_WRITE: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's interface, 0 when it has none."""
    found: int = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    return max(found, 0)


def restrict(*, readable: Iterable[Path], usable: Iterable[Path], writable: Iterable[Path]) -> str | None:
    """Hide every file from this thread but those beneath some folders.

    Parameters
    ----------
    readable : iterable of Path
        Files and folders to read.
    usable : iterable of Path
        Files to read and write, not to make or remove (``/dev/null``).
    writable : iterable of Path
        Folders to read and change.

    Returns
    -------
    str or None
        Why it was not possible; None when it is in force. Paths that do not exist are passed over.
    """
    known = version()
    if known == 0:
        return "the kernel has no Landlock"
    libc = _libc()
    handled = _HANDLED[min(known, 5)]
    attributes = _Ruleset(handled, _HANDLED_NET if known >= 4 else 0, _SCOPED if known >= 6 else 0)
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(24), ctypes.c_uint32(0))
    if ruleset < 0:
        return os.strerror(ctypes.get_errno())
    try:
        for paths, rights in ((readable, _READ), (usable, _USE), (writable, _WRITE)):
            for path in paths:
                _allow(libc, ruleset, path, rights & handled)
        if libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) != 0:
            return os.strerror(ctypes.get_errno())
    finally:
        os.close(ruleset)
    return None


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _FILE_RIGHTS
        rule = _PathBeneath(rights, parent)
        libc.syscall(
            _ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0)
        )
    finally:
        os.close(parent)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
