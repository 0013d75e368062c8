import contextlib
import email
import email.policy
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from typing import BinaryIO

import pytest

from osler.config import Destination
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish import mail
from osler.publish.alert import Alert
from osler.publish.message import Message
from osler.testing.results import recorded

MESSAGE = Message(recorded(), "OSL-ABC", "http://hub", Alert("alert-1", "result-1", 0, 1000.0), "key-1")
HOSTS = ["127.0.0.1"]


@dataclass
class MailServer:
    """A small SMTP server; ``answers`` replaces what it says to a command."""

    answers: dict[str, bytes] = field(default_factory=dict)
    drip: bytes | None = None
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    address: str = ""

    @contextlib.contextmanager
    def running(self) -> Iterator["MailServer"]:
        stop = threading.Event()
        listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=self._serve, args=(listening, stop))
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            with contextlib.suppress(OSError), socket.create_connection(listening.getsockname()[:2]):
                pass
            thread.join()
            listening.close()

    def _serve(self, listening: socket.socket, stop: threading.Event) -> None:
        while not stop.is_set():
            connection, _ = listening.accept()
            with connection, contextlib.suppress(OSError):
                self._talk(connection, stop)

    def _talk(self, connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(self.answers.get("greeting", b"220 mail\r\n"))
        while self.drip is not None and not stop.wait(0.02):
            connection.sendall(self.drip)
        with connection.makefile("rb") as lines:
            for line in lines:
                self._answer(connection, lines, line)

    def _answer(self, connection: socket.socket, lines: BinaryIO, line: bytes) -> None:
        command = line.split(b":")[0].strip().upper().decode("latin-1")
        word = command.split()[0]
        usual = {"DATA": b"354 go on\r\n"}.get(word, b"250 ok\r\n")
        said = self.answers.get(command) or self.answers.get(word) or usual
        if word == "RCPT" and said.startswith(b"250"):
            self.recipients.append(line.decode().split("<")[1].split(">")[0])
        connection.sendall(said)
        if said.startswith(b"354"):
            content = b"".join(iter(lambda: next(lines), b".\r\n"))
            answer = self.answers.get("content", b"250 taken\r\n")
            if answer.startswith(b"250"):
                self.mails.append(email.message_from_bytes(content, policy=email.policy.default))  # type: ignore[arg-type]
            connection.sendall(answer)


def destination(server: MailServer, *recipients: str) -> Destination:
    return Destination(
        "mail", "smtp", address=server.address, sender="osler@site", recipients=recipients or ("on-call@site",)
    )


def test_it_arrives_without_identity() -> None:
    with MailServer().running() as server:
        delivery = mail.send(MESSAGE, destination(server, "a@site", "b@site"), allowed_hosts=HOSTS)

    (got,) = server.mails
    assert (delivery.reference, delivery.warning) == ("alert-1", None)
    assert server.recipients == ["a@site", "b@site"]
    assert got["Subject"] == "AI alert (preliminary): critical finding"
    assert got["From"] == "osler@site"
    assert got["To"] == "a@site, b@site"
    text = got.get_content()
    assert "pneumonia: suspected" in text
    assert "http://hub/fhir/R4/DiagnosticReport/" in text
    assert "OSL-ABC" not in text.upper()


def test_sent_again_it_has_the_same_message_id() -> None:
    with MailServer().running() as server:
        for key in ("key-1", "key-1", "key-2"):
            mail.send(replace(MESSAGE, idempotency_key=key), destination(server), allowed_hosts=HOSTS)

    first, second, other = (m["Message-ID"] for m in server.mails)
    assert first == second != other


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"greeting": b"421 busy\r\n"}, PeerUnavailable),
        ({"greeting": b"554 no\r\n"}, DeliveryRefused),
        ({"MAIL FROM": b"451 later\r\n"}, PeerUnavailable),
        ({"MAIL FROM": b"550 no\r\n"}, DeliveryRefused),
        ({"RCPT TO": b"450 later\r\n"}, PeerUnavailable),
        ({"RCPT TO": b"550 unknown\r\n"}, DeliveryRefused),
        ({"DATA": b"451 later\r\n"}, PeerUnavailable),
        ({"content": b"452 full\r\n"}, PeerUnavailable),
        ({"content": b"554 refused\r\n"}, DeliveryRefused),
        ({"greeting": b"HTTP/1.1 200 OK\r\n\r\n"}, PeerUnavailable),
        ({"EHLO": b"250-mail\r\n250 STARTTLS\r\n", "STARTTLS": b"454 not now\r\n"}, PeerUnavailable),
        ({"EHLO": b"250-mail\r\n250 STARTTLS\r\n", "STARTTLS": b"220 go\r\nno tls at all\r\n"}, PeerUnavailable),
    ],
)
def test_what_each_answer_means(answers: dict[str, bytes], error: type[Exception]) -> None:
    with MailServer(answers).running() as server, pytest.raises(error, match="destination mail"):
        mail.send(MESSAGE, destination(server), allowed_hosts=HOSTS)

    assert server.mails == []


def test_some_recipients_only_is_a_warning() -> None:
    with MailServer().running() as server:
        server.answers = _Once()
        delivery = mail.send(MESSAGE, destination(server, "a@site", "b@site"), allowed_hosts=HOSTS)

    assert delivery.warning == "1 of 2 recipients were refused"
    assert len(server.mails) == 1


class _Once(dict[str, bytes]):
    """Refuses the first recipient alone."""

    asked = 0

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        if key == "RCPT TO":
            self.asked += 1
            return b"550 unknown\r\n" if self.asked == 1 else b"250 ok\r\n"
        return default


def test_nobody_there(free_port: Callable[[], int]) -> None:
    nowhere = Destination("mail", "smtp", address=f"127.0.0.1:{free_port()}", sender="a@b", recipients=("c@d",))
    with pytest.raises(PeerUnavailable):
        mail.send(MESSAGE, nowhere, allowed_hosts=HOSTS)


def test_only_allowed_hosts_are_written_to() -> None:
    elsewhere = Destination("mail", "smtp", address="mail.example:25", sender="a@b", recipients=("c@d",))
    with pytest.raises(DeliveryRefused, match=r"alert\.allowed_hosts"):
        mail.send(MESSAGE, elsewhere, allowed_hosts=HOSTS)


@pytest.mark.parametrize("drip", [b"", b"220-more\r\n"], ids=["silence", "a greeting without end"])
def test_a_server_that_never_ends_is_left(drip: bytes) -> None:
    with MailServer({"greeting": b""}, drip=drip).running() as server:
        began = time.monotonic()
        with pytest.raises(PeerUnavailable):
            mail.send(MESSAGE, destination(server), allowed_hosts=HOSTS, whole_s=0.5)
        assert time.monotonic() - began < 5


def test_an_address_that_is_none() -> None:
    with MailServer().running() as server, pytest.raises(DeliveryRefused, match="no addresses"):
        mail.send(MESSAGE, destination(server, "a@site\nBcc: everybody@site"), allowed_hosts=HOSTS)
