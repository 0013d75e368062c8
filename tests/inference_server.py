"""A server of the Open Inference Protocol v2 that computes means, or misbehaves as it is told."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

from far_model import SIDE

Twist = Callable[[dict[str, Any]], Any]


class InferenceServer:
    """Serves the model ``mean``, version 3."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.twist: Twist = lambda answer: answer
        """Makes of the right answer what is sent: a JSON document, bytes, an iterator of bytes, or a status."""
        self.is_ready = True
        self.metadata: dict[str, Any] = {
            "name": "mean",
            "versions": ["3"],
            "inputs": [{"name": "image", "datatype": "FP32", "shape": [-1, SIDE, SIDE]}],
            "outputs": [{"name": "probability", "datatype": "FP32", "shape": [-1]}],
        }
        self.questions: list[dict[str, Any]] = []
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    owner: InferenceServer

    def do_GET(self) -> None:
        if self.path == "/v2/models/mean/versions/3/ready":
            self._send(200 if self.owner.is_ready else 503, b"")
        else:
            self._send(200, json.dumps(self.owner.metadata).encode())

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.owner.questions.append(question | {"path": self.path})
        (image,) = question["inputs"]
        means = np.array(image["data"], np.float32).reshape(image["shape"]).mean(axis=(1, 2))
        answer = {
            "model_name": "mean",
            "model_version": "3",
            "id": question["id"],
            "outputs": [
                {"name": "probability", "datatype": "FP32", "shape": [len(means)], "data": means.astype(float).tolist()}
            ],
        }
        said = self.owner.twist(answer)
        if isinstance(said, int):
            self._send(said, b"{}")
        elif isinstance(said, bytes):
            self._send(200, said)
        elif isinstance(said, Iterator):
            self._drip(said)
        else:
            self._send(200, json.dumps(said).encode())

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _drip(self, chunks: Iterator[bytes]) -> None:
        try:
            for chunk in chunks:
                self.wfile.write(chunk)
        except OSError:
            pass
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Say nothing."""
