"""A system call filter (seccomp-BPF): what no model needs is refused by the kernel.

It is a list of what is refused, not of what is allowed: numerical libraries differ in what they call, and the file
system is guarded by Landlock and the network by a namespace of its own.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable
from typing import Final

# Refused with EPERM: name, number on x86-64, number on AArch64 (None where there is no such call).
REFUSED: Final[tuple[tuple[str, int | None, int | None], ...]] = (
    # network; io_uring can open a socket without the call of that name
    ("socket", 41, 198),
    ("socketpair", 53, 199),
    ("connect", 42, 203),
    ("bind", 49, 200),
    ("listen", 50, 201),
    ("accept", 43, 202),
    ("accept4", 288, 242),
    ("sendto", 44, 206),
    ("sendmsg", 46, 211),
    ("sendmmsg", 307, 269),
    ("recvfrom", 45, 207),
    ("recvmsg", 47, 212),
    ("recvmmsg", 299, 243),
    ("io_uring_setup", 425, 425),
    ("io_uring_enter", 426, 426),
    ("io_uring_register", 427, 427),
    # other processes
    ("fork", 57, None),
    ("vfork", 58, None),
    ("execve", 59, 221),
    ("execveat", 322, 281),
    ("ptrace", 101, 117),
    ("process_vm_readv", 310, 270),
    ("process_vm_writev", 311, 271),
    ("process_madvise", 440, 440),
    ("pidfd_open", 434, 434),
    ("pidfd_getfd", 438, 438),
    ("pidfd_send_signal", 424, 424),
    ("rt_sigqueueinfo", 129, 138),
    ("rt_tgsigqueueinfo", 297, 240),
    ("tkill", 200, 130),
    ("kcmp", 312, 272),
    ("setpriority", 141, 140),
    ("migrate_pages", 256, 238),
    ("move_pages", 279, 239),
    # memory that the address space limit does not count, and keys
    ("memfd_create", 319, 279),
    ("memfd_secret", 447, 447),
    ("shmget", 29, 194),
    ("shmat", 30, 196),
    ("msgget", 68, 186),
    ("semget", 64, 190),
    ("mq_open", 240, 180),
    ("add_key", 248, 217),
    ("request_key", 249, 218),
    ("keyctl", 250, 219),
    # file systems, and what Landlock leaves out: a spooled file may be a link to the blob itself
    ("mount", 165, 40),
    ("umount2", 166, 39),
    ("pivot_root", 155, 41),
    ("chroot", 161, 51),
    ("open_tree", 428, 428),
    ("move_mount", 429, 429),
    ("fsopen", 430, 430),
    ("fsconfig", 431, 431),
    ("fsmount", 432, 432),
    ("fspick", 433, 433),
    ("mount_setattr", 442, 442),
    ("name_to_handle_at", 303, 264),
    ("open_by_handle_at", 304, 265),
    ("swapon", 167, 224),
    ("swapoff", 168, 225),
    ("quotactl", 179, 60),
    ("quotactl_fd", 443, 443),
    ("acct", 163, 89),
    ("fanotify_init", 300, 262),
    ("chmod", 90, None),
    ("fchmod", 91, 52),
    ("fchmodat", 268, 53),
    ("fchmodat2", 452, 452),
    ("chown", 92, None),
    ("fchown", 93, 55),
    ("lchown", 94, None),
    ("fchownat", 260, 54),
    ("setxattr", 188, 5),
    ("lsetxattr", 189, 6),
    ("fsetxattr", 190, 7),
    ("removexattr", 197, 14),
    ("lremovexattr", 198, 15),
    ("fremovexattr", 199, 16),
    # the machine
    ("unshare", 272, 97),
    ("setns", 308, 268),
    ("bpf", 321, 280),
    ("perf_event_open", 298, 241),
    ("userfaultfd", 323, 282),
    ("init_module", 175, 105),
    ("finit_module", 313, 273),
    ("delete_module", 176, 106),
    ("kexec_load", 246, 104),
    ("kexec_file_load", 320, 294),
    ("reboot", 169, 142),
    ("sethostname", 170, 161),
    ("setdomainname", 171, 162),
    ("settimeofday", 164, 170),
    ("clock_settime", 227, 112),
    ("adjtimex", 159, 171),
    ("clock_adjtime", 305, 266),
    ("syslog", 103, 116),
    ("personality", 135, 92),
    ("iopl", 172, None),
    ("ioperm", 173, None),
    ("modify_ldt", 154, None),
    ("vhangup", 153, 58),
)
# Allowed with certain arguments only.
CLONE: Final = ("clone", 56, 220)
CLONE3: Final = ("clone3", 435, 435)
KILL: Final = ("kill", 62, 129)
TGKILL: Final = ("tgkill", 234, 131)
PRCTL: Final = ("prctl", 157, 167)
PRLIMIT: Final = ("prlimit64", 302, 261)

_AUDIT_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE_THREAD: Final = 0x00010000
_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_X32_BIT: Final = 0x40000000
_KILL_PROCESS: Final = 0x80000000
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_OFFSET, _ARCH_OFFSET, _ARGUMENT_OFFSET = 0, 4, 16  # of struct seccomp_data, little-endian

Instruction = tuple[int, int, int, int]


def install() -> str | None:
    """Refuse the calls to this process from now on; return why that was not possible, or None."""
    machine = os.uname().machine
    if machine not in _AUDIT_ARCH:
        return f"there is no filter for {machine}"
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program(machine, os.getpid()))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    filter_program = Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0) != 0:
        return os.strerror(ctypes.get_errno())
    return None


def program(machine: str, pid: int) -> list[Instruction]:
    """Build the filter for a machine (``x86_64`` or ``aarch64``) and the process that it will hold."""
    column = 1 if machine == "x86_64" else 2

    def number(call: tuple[str, int | None, int | None]) -> int | None:
        return call[column]  # type: ignore[return-value]

    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH_OFFSET),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
    ]
    if machine == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, _X32_BIT), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    # The C library asks for clone3 first, whose flags lie in memory, and takes clone when there is none.
    code += [(_JUMP_EQUAL, 0, 1, number(CLONE3) or 0), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    code += _only_when(number(CLONE), (_JUMP_ANY_BIT, 1, 0, _CLONE_THREAD))
    code += _only_when(number(KILL), (_JUMP_EQUAL, 1, 0, pid))
    code += _only_when(number(TGKILL), (_JUMP_EQUAL, 1, 0, pid))
    code += _only_when(number(PRCTL), (_JUMP_EQUAL, 0, 1, _PR_SET_PDEATHSIG))
    code += _only_when(number(PRLIMIT), (_JUMP_EQUAL, 1, 0, 0))
    for refused in _numbers(map(number, REFUSED)):
        code += [(_JUMP_EQUAL, 0, 1, refused), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return [*code, (_RETURN, 0, 0, _ALLOW)]


def _only_when(number: int | None, test: Instruction) -> list[Instruction]:
    """Allow a call when a test of its first argument jumps over the refusal."""
    return [
        (_JUMP_EQUAL, 0, 4, number or 0),
        (_LOAD, 0, 0, _ARGUMENT_OFFSET),
        test,
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _numbers(found: Iterable[int | None]) -> list[int]:
    return [number for number in found if number is not None]
