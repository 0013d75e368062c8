"""Batches of files in several processes. Only the parent asks the vault and gives names; a child asks the parent."""

import logging
import signal
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from osler.deidentify.dicom.batches import File, Line, Names, Work
from osler.deidentify.dicom.instance import Pseudonyms, pseudonym_of
from osler.domain.identifiers import Identity, PseudonymKind
from osler.errors import OslerError, Transient


def in_processes(
    work: Work, batches: Iterable[Sequence[File]], *, pseudonyms: Pseudonyms, names: Names, count: int
) -> Iterator[list[Line]]:
    """Yield what the report says of each batch, in the order of the batches.

    Parameters
    ----------
    work : Work
    batches : iterable of sequences of File
    pseudonyms : Pseudonyms
        Asked in this process alone.
    names : Names
    count : int
        How many processes.

    Raises
    ------
    OslerError
        What a batch raised; of a process that ended unasked, Transient.
    """
    with ExitStack() as stack:
        idle = [_started(work, stack) for _ in range(count)]
        waiting, running, finished = iter(enumerate(batches)), dict[Any, int](), dict[int, list[Line]]()
        following = 0
        while True:
            while idle and (batch := next(waiting, None)) is not None:
                running[idle[-1]] = batch[0]
                _say(idle.pop(), batch[1])
            if not running:
                return
            for child in wait(list(running)):
                lines = _served(child, pseudonyms, names)  # type: ignore[arg-type]
                if lines is not None:
                    finished[running.pop(child)] = lines
                    idle.append(child)  # type: ignore[arg-type]
            while following in finished:
                yield finished.pop(following)
                following += 1


def _started(work: Work, stack: ExitStack) -> Connection:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    stack.callback(process.join)
    stack.callback(process.terminate)
    stack.callback(ours.close)
    return ours


def _say(child: Connection, message: object) -> None:
    try:
        child.send(message)
    except BrokenPipeError:
        raise Transient("a process that de-identified ended unasked") from None


def _served(child: Connection, pseudonyms: Pseudonyms, names: Names) -> list[Line] | None:
    """Answer a child; return its lines when it is done."""
    try:
        kind, asked = child.recv()
    except (EOFError, ConnectionResetError):
        raise Transient("a process that de-identified ended unasked") from None
    if kind == "failed":
        raise asked
    if kind == "done":
        lines: list[Line] = asked
        return lines
    if kind == "name":
        _say(child, names.free(asked))
    else:
        pseudonyms.prefetch(asked)
        _say(child, [pseudonym_of(identity, pseudonyms) for identity in asked])
    return None


class _Parent:
    """The pseudonyms of one batch, and its names, as the parent gives them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[Identity, str] = {}

    def prefetch(self, identities: Sequence[Identity]) -> None:
        self._connection.send(("pseudonyms", identities))
        self._known.update(zip(identities, self._connection.recv(), strict=True))

    def uid(self, value: str) -> str:
        return self._known[Identity(PseudonymKind.UID, value)]

    def patient(self, patient_id: str, issuer: str) -> str:
        return self._known[Identity(PseudonymKind.PATIENT, patient_id, issuer)]

    def accession(self, value: str, issuer: str) -> str:
        return self._known[Identity(PseudonymKind.ACCESSION, value, issuer)]

    def free(self, name: str) -> str:
        self._connection.send(("name", name))
        free: str = self._connection.recv()
        return free


def _child(connection: Connection, work: Work) -> None:
    """Work off batches until the parent goes away; libraries are kept from quoting values on standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    try:
        while True:
            parent, batch = _Parent(connection), connection.recv()
            connection.send(("done", work.run(batch, parent, parent.free)))
    except OslerError as error:
        connection.send(("failed", error))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
