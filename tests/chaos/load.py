"""A mixed load without end: DICOM over C-STORE and STOW-RS, and HL7 v2; what is not acknowledged is sent again."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import pydicom

from acceptance.running import radiograph
from chaos.place import Place
from osler.errors import OslerError
from osler.ingest.folder import Outcome, send

MOST_AHEAD = 6
_PAUSE_S = 0.15
_ANSWER_S = 8.0
_KIND = 'multipart/related; type="application/dicom"; boundary=frontier'


class Load:
    """The senders, and what was acknowledged to them."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self.studies: dict[str, float] = {}
        """When each was acknowledged, monotonic seconds, by Study Instance UID."""
        self.messages: dict[str, float] = {}
        self.attempts: Counter[str] = Counter()
        self._folder = place.folder / "studies"
        self._stopping = threading.Event()
        self._going = threading.Event()
        self._idle: list[threading.Event] = []
        self._token: dict[str, str] = {}
        self._threads = []
        for kind, make in {"C-STORE": self._c_store, "STOW-RS": self._stow, "HL7 v2": self._hl7}.items():
            idle = threading.Event()
            self._idle.append(idle)
            self._threads.append(threading.Thread(target=self._run, args=(kind, make, idle), name=kind, daemon=True))

    def start(self) -> None:
        """Begin."""
        self._going.set()
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Begin nothing new; what is under way goes on until it is acknowledged."""
        self._going.clear()

    def resume(self) -> None:
        """Go on."""
        self._going.set()

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way: each thing that was sent has been acknowledged."""
        return not self._going.is_set() and all(idle.is_set() for idle in self._idle)

    def stop(self) -> None:
        """End it."""
        self._stopping.set()
        self._going.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(60)

    def _run(self, kind: str, make: Callable[[int], tuple[str, Callable[[], bool]]], idle: threading.Event) -> None:
        number = 0
        kept = self.messages if kind == "HL7 v2" else self.studies
        while not self._stopping.is_set():
            if not self._going.is_set() or len(self.studies) - len(self._place.arrivals.documents) > MOST_AHEAD:
                idle.set()
                self._stopping.wait(0.05)
                continue
            idle.clear()
            number += 1
            key, attempt = make(number)
            while not self._stopping.is_set():
                self.attempts[kind] += 1
                if attempt():
                    kept[key] = time.monotonic()
                    break
                self._stopping.wait(_PAUSE_S)
            self._stopping.wait(_PAUSE_S)

    def _study(self, kind: str, number: int) -> tuple[str, Path]:
        path = radiograph(self._folder, f"{kind}.dcm", PatientID=f"{kind}{number}", AccessionNumber=f"{kind}{number}")
        return str(pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID), path

    def _c_store(self, number: int) -> tuple[str, Callable[[], bool]]:
        uid, path = self._study("C", number)
        address = ("127.0.0.1", self._place.links["dimse"].port)

        def attempt() -> bool:
            try:
                return send([path], address=address).files[0].outcome is Outcome.SENT
            except OslerError:
                return False

        return uid, attempt

    def _stow(self, number: int) -> tuple[str, Callable[[], bool]]:
        uid, path = self._study("S", number)
        part = b"--frontier\r\nContent-Type: application/dicom\r\n\r\n"
        body = part + path.read_bytes() + b"\r\n--frontier--\r\n"
        url = f"http://127.0.0.1:{self._place.links['http'].port}/dicom-web/studies"

        def attempt() -> bool:
            try:
                if not self._token:
                    self._token = self._place.hub.authorize("system/ImagingStudy.c")
                answer = httpx.post(url, content=body, headers={"Content-Type": _KIND} | self._token, timeout=_ANSWER_S)
            except (AssertionError, httpx.HTTPError):  # it is away, or its clock is wrong
                return False
            if answer.status_code == 401:
                self._token = {}
            return answer.status_code == 200

        return uid, attempt

    def _hl7(self, number: int) -> tuple[str, Callable[[], bool]]:
        control = f"H{number}"
        message = (
            f"MSH|^~\\&|ENGINE|HOSP|OSLER|RAD|20260102093000+0000||ADT^A04|{control}|P|2.5.1|||||UNICODE UTF-8\r"
            f"PID|1||{control}^^^HOSP^MR||Doe^Jane||19800102|F\r"
        )

        def attempt() -> bool:
            with contextlib.suppress(OSError):
                return f"MSA|AA|{control}" in _exchange(self._place.links["mllp"].port, message)
            return False

        return control, attempt


def _exchange(port: int, message: str) -> str:
    """Send a message over MLLP and return the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S) as engine:
        engine.sendall(b"\x0b" + message.encode() + b"\x1c\r")
        answer = b""
        while not answer.endswith(b"\x1c\r"):
            data = engine.recv(65536)
            if not data:
                break
            answer += data
    return answer.decode()
