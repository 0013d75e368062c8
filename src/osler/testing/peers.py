"""A PACS and a pager on loopback: what a demo or a test sends results to."""

import contextlib
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import AllStoragePresentationContexts, VerificationPresentationContexts


def free_ports(count: int) -> list[int]:
    """Return TCP ports of loopback that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


class Pacs:
    """A storage SCP that writes what it gets into a folder.

    Parameters
    ----------
    folder : Path
    ae_title : str
    answer : callable, optional
        Gives the status of each C-STORE; 0000 by default.
    host : str
        Address to listen at.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "PACS",
        answer: Callable[[], int] = lambda: 0x0000,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self.received: list[str] = []
        self._answer = answer
        folder.mkdir(parents=True, exist_ok=True)
        entity = AE(ae_title)
        entity.supported_contexts = [*AllStoragePresentationContexts, *VerificationPresentationContexts]
        (port,) = free_ports(1)
        entity.start_server((host, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self._entity = entity
        self.address = f"{host}:{port}"

    def stop(self) -> None:
        """End it."""
        self._entity.shutdown()

    def _store(self, event: Any) -> int:
        status = self._answer()
        if status == 0x0000 or status >> 12 == 0xB:
            uid = str(event.request.AffectedSOPInstanceUID)
            (self.folder / f"{uid}.dcm").write_bytes(event.encoded_dataset())
            self.received.append(uid)
        return status


@dataclass
class Message:
    """One message that the pager got, with whether its signature holds."""

    body: dict[str, Any]
    signed: bool
    headers: dict[str, str] = field(default_factory=dict)


class Pager:
    """A webhook receiver that checks signatures.

    Parameters
    ----------
    secret : str
    status : callable, optional
        Gives the HTTP status of each answer; 204 by default.
    """

    def __init__(self, secret: str, *, status: Callable[[], int] = lambda: 204) -> None:
        self.messages: list[Message] = []
        pager = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                stamp = self.headers.get("Osler-Timestamp", "")
                wanted = hmac.new(secret.encode(), stamp.encode() + b"." + content, hashlib.sha256).hexdigest()
                given = self.headers.get("Osler-Signature", "").removeprefix("sha256=")
                answer = status()
                if answer < 300:
                    pager.messages.append(
                        Message(json.loads(content), hmac.compare_digest(wanted, given), dict(self.headers.items()))
                    )
                self.send_response(answer)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="pager", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/alert"

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
