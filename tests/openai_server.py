"""A server that speaks the chat completions of OpenAI on a real socket, well or in many ways badly."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Json = dict[str, Any]


@dataclass
class Asked:
    """A question as it arrived."""

    path: str
    headers: dict[str, str]
    body: Json

    @property
    def enforced(self) -> bool:
        return "response_format" in self.body

    @property
    def schema(self) -> Json:
        return self.body["response_format"]["json_schema"]["schema"]

    @property
    def is_probe(self) -> bool:
        return len(self.body["messages"]) == 1

    @property
    def utterances(self) -> list[Json]:
        """The transcript as the model finds it between its fences."""
        said = self.body["messages"][1]["content"]
        fenced = re.search(r"<(transcript-[0-9a-f]{16})>\n(.*)\n</\1>$", said, re.DOTALL)
        return json.loads(fenced[2])["utterances"]


@dataclass
class Answer:
    """What is sent back; ``pieces`` in place of the body are sent one by one."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None


def completion(content: str | None, **message: Any) -> Answer:
    """Return a chat completion whose message has a content."""
    document = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "tiny-instruct-q4",
        "system_fingerprint": "fp_17",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
    }
    return Answer(json.dumps(document).encode())


def statement(text: str, topic: str, *evidence: tuple[int, str], **more: Any) -> Json:
    """Return a statement in the form that is asked for."""
    return {
        "text": text,
        "topic": topic,
        "utterances": [number for number, _ in evidence],
        "quotes": [quote for _, quote in evidence],
        **more,
    }


def note(*statements: Json) -> Answer:
    """Return a completion whose content is a note."""
    return completion(json.dumps({"statements": list(statements)}))


def enforcing(asked: Asked) -> Answer | None:
    """Answer the probe of a schema as a server does that holds its model to one; None when it is no probe."""
    if not asked.is_probe:
        return None
    if not asked.enforced:
        return completion("Hello!")
    return completion(json.dumps({"word": asked.schema["properties"]["word"]["enum"][0]}))


def ignoring(asked: Asked) -> Answer | None:
    """Answer the probe as a server does that ignores schemas without a word."""
    return completion("Hello! How can I help you today?") if asked.is_probe else None


def repeating(asked: Asked) -> Answer:
    """Answer with a note that says again what was said, all of it as history."""
    return note(
        *(
            statement(f"It was said: {one['text']}", "GENHX", (one["n"], one["text"]), problem="")
            for one in asked.utterances
        )
    )


class OpenAIServer:
    """The server; ``probed`` answers the probe and ``behave`` everything else, one after the other, the last for ever.

    Attributes
    ----------
    asked : list of Asked
    models : list of str
        What it lists.
    listed : int
        How often it was asked for them.
    closing : threading.Event
        Set when the server ends: a behaviour that hangs waits for it.
    """

    def __init__(
        self,
        *behave: Callable[[Asked], Answer],
        probed: Callable[[Asked], Answer | None] = enforcing,
    ) -> None:
        self._behave = list(behave) or [repeating]
        self._probed = probed
        self.asked: list[Asked] = []
        self.models = ["tiny-instruct-q4", "other"]
        self.listed = 0
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer._respond(self, Asked(self.path, headers, json.loads(self.rfile.read(length))))

            def do_GET(self) -> None:
                outer.listed += 1
                listed = {"object": "list", "data": [{"id": name, "object": "model"} for name in outer.models]}
                body = json.dumps(listed).encode()
                self.send_response(200 if self.path == "/v1/models" else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def notes_asked(self) -> list[Asked]:
        return [one for one in self.asked if not one.is_probe]

    def __enter__(self) -> "OpenAIServer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def _respond(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self.asked.append(asked)
        answer = self._probed(asked)
        if answer is None:
            answer = (self._behave.pop(0) if len(self._behave) > 1 else self._behave[0])(asked)
        try:
            handler.send_response(answer.status)
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                handler.send_header(name, value)
            if answer.pieces is None:
                handler.send_header("content-length", str(len(answer.body)))
                handler.end_headers()
                handler.wfile.write(answer.body)
                return
            handler.send_header("connection", "close")
            handler.end_headers()
            for piece in answer.pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
            handler.close_connection = True
        except OSError:
            handler.close_connection = True  # the other side has had enough


def hanging(server: OpenAIServer) -> Callable[[Asked], Answer]:
    """Return a behaviour that answers when the server ends."""

    def behave(asked: Asked) -> Answer:
        server.closing.wait(30)
        return Answer(status=503)

    return behave


def trickling(server: OpenAIServer, every_s: float = 0.02) -> Callable[[Asked], Answer]:
    """Return a behaviour that sends a byte now and then, and never ends before the server does."""

    def pieces() -> Iterator[bytes]:
        while not server.closing.wait(every_s):
            yield b" "

    return lambda asked: Answer(pieces=pieces())
