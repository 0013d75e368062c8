"""The system call filter, run by a small interpreter of BPF: one row a rule, for both kinds of machine."""

import errno

import pytest

from osler.infer.seccomp import CLONE, CLONE3, KILL, PRCTL, PRLIMIT, REFUSED, TGKILL, program

PID = 4711
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
THREAD_FLAGS = 0x3D0F00  # what a C library passes to clone for a thread; holds CLONE_THREAD
FORK_FLAGS = 0x1200011


def run(machine: str, number: int, argument: int = 0, arch: int | None = None) -> int:
    data = {0: number, 4: ARCH[machine] if arch is None else arch, 16: argument & 0xFFFFFFFF}
    code, at, accumulator = program(machine, PID), 0, 0
    while True:
        operation, if_true, if_false, value = code[at]
        at += 1
        if operation == 0x06:
            return value
        if operation == 0x20:
            accumulator = data[value]
        else:
            holds = {
                0x15: accumulator == value,
                0x35: accumulator >= value,
                0x45: bool(accumulator & value),
            }[operation]
            at += if_true if holds else if_false


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize(
    ("call", "argument", "answer"),
    [
        (CLONE, THREAD_FLAGS, ALLOW),
        (CLONE, FORK_FLAGS, EPERM),
        (CLONE, 0, EPERM),
        (CLONE3, 0, ENOSYS),
        (KILL, PID, ALLOW),
        (KILL, PID - 1, EPERM),
        (KILL, -1, EPERM),
        (KILL, 0, EPERM),
        (TGKILL, PID, ALLOW),
        (TGKILL, PID - 1, EPERM),
        (PRCTL, 1, EPERM),
        (PRCTL, 15, ALLOW),
        (PRLIMIT, 0, ALLOW),
        (PRLIMIT, PID - 1, EPERM),
    ],
)
def test_calls_that_depend_on_their_argument(machine, call, argument, answer):
    number = call[1] if machine == "x86_64" else call[2]
    assert run(machine, number, argument) == answer


@pytest.mark.parametrize("machine", ARCH)
def test_every_call_of_the_list_is_refused(machine):
    column = 1 if machine == "x86_64" else 2
    for call in REFUSED:
        if call[column] is not None:
            assert run(machine, call[column]) == EPERM, call[0]


@pytest.mark.parametrize(
    ("machine", "numbers"),
    [
        ("x86_64", {"read": 0, "write": 1, "mmap": 9, "futex": 202, "openat": 257, "exit_group": 231, "poll": 7}),
        ("aarch64", {"read": 63, "write": 64, "mmap": 222, "futex": 98, "openat": 56, "exit_group": 94, "ppoll": 73}),
    ],
)
def test_what_a_model_needs_is_allowed(machine, numbers):
    for name, number in numbers.items():
        assert run(machine, number) == ALLOW, name


@pytest.mark.parametrize("machine", ARCH)
def test_another_architectures_calls_end_the_process(machine):
    assert run(machine, 41, arch=0x40000003) == KILL_PROCESS


def test_the_x32_interface_is_refused():
    assert run("x86_64", 0x40000000 | 41) == EPERM
    assert run("x86_64", 0x40000000) == EPERM


def test_no_call_is_listed_twice():
    for column in (1, 2):
        numbers = [call[column] for call in REFUSED if call[column] is not None]
        assert len(numbers) == len(set(numbers))
