"""Several at once: the same part twice, two signatures, two edits; one is done and the other hears of it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osler.errors import Conflict, OslerError
from osler.storage import Database
from scribe_lab import ANN, RIFF, Lab


@pytest.fixture
def lab(database: Database, tmp_path: Path) -> Lab:
    return Lab(database, tmp_path)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do things in threads that begin together; return what came of each, an error for one that failed."""
    begin, found = threading.Barrier(len(work)), dict[int, Any]()

    def run(number: int) -> None:
        begin.wait(10)
        try:
            found[number] = work[number]()
        except OslerError as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[number] for number in range(len(work))]


def test_the_same_part_at_once_is_kept_once_and_all_are_told_so(lab: Lab) -> None:
    key = lab.open()
    found = at_once(*[lambda: lab.capture.add(ANN, key, [(0, 0, RIFF)])] * 6)
    assert [one.audio_bytes for one in found] == [len(RIFF)] * 6
    assert len(lab.kept()) == 1
    assert lab.events().count("audio-received") == 1


def test_of_two_contents_under_one_number_one_is_kept(lab: Lab) -> None:
    key = lab.open()
    found = at_once(*[lambda n=n: lab.capture.add(ANN, key, [(0, 0, RIFF + bytes([n]))]) for n in range(4)])
    assert sum(isinstance(one, Conflict) for one in found) == 3
    assert len(lab.kept()) == 1


def test_whole_files_at_once_become_takes(lab: Lab) -> None:
    key = lab.open()
    uploads = at_once(*[lambda n=n: lab.capture.stage(key, None, 0, RIFF + bytes([n])) for n in range(4)])
    assert len(set(uploads)) == 4
    at_once(*[lambda one=one: lab.capture.add_take(ANN, key, one) for one in uploads])
    assert [part.take for part in lab.capture.parts(key)] == [0, 1, 2, 3]


def test_of_signatures_at_once_one_is_given(lab: Lab) -> None:
    key = lab.drafted()
    found = at_once(*[lambda: lab.sign(key)] * 4)
    assert sum(isinstance(one, Conflict) for one in found) == 3
    assert {one.version for one in lab.sent(key)} == {1}
    assert lab.events().count("note-signed") == 1


def test_of_edits_at_once_one_is_made(lab: Lab) -> None:
    key = lab.drafted()
    found = at_once(*[lambda n=n: lab.reviewing.edit(ANN, key, 1, "s1", f"Cough {n}.") for n in range(4)])
    assert sum(isinstance(one, Conflict) for one in found) == 3
    assert lab.held(key).revision == 2


def test_a_recording_is_claimed_once(lab: Lab) -> None:
    lab.recorded()
    found = at_once(*[lab.steps_of(f"p{n}").transcribe for n in range(4)])
    assert sorted(found) == [False, False, False, True]
    assert lab.events().count("encounter-transcribed") == 1
