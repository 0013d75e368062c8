"""Send a message by SMTP: plain words without identity.

Encrypted when the server offers STARTTLS; its certificate must then be one that this machine trusts.
"""

import contextlib
import hashlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Collection, Iterator
from email.message import EmailMessage
from email.utils import formatdate
from typing import Final

from osler.config import Destination, split_address
from osler.domain.events import Delivery
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish.message import Says

_OUR_NAME: Final = "osler"


def send(message: Says, destination: Destination, *, allowed_hosts: Collection[str], whole_s: float = 30.0) -> Delivery:
    """Send a message to the recipients of a destination.

    Parameters
    ----------
    message : Says
    destination : Destination
        Of kind ``smtp``.
    allowed_hosts : collection of str
    whole_s : float
        Longest time of the whole conversation, seconds.

    Returns
    -------
    Delivery
        With a warning when the server took it for some of the recipients only.

    Raises
    ------
    DeliveryRefused
        If the host is not allowed, or the server answers 5xx.
    PeerUnavailable
        If the server does not answer in time, answers 4xx, or shows a certificate that is not trusted.
    """
    host, port = split_address(destination.address)
    if host not in allowed_hosts:
        raise DeliveryRefused(f"destination {destination.name}: alert.allowed_hosts does not have its host")
    try:
        mail = _mail(message, destination)
    except ValueError:
        raise DeliveryRefused(f"destination {destination.name}: its sender or recipients are no addresses") from None
    try:
        with _conversation(host, port, whole_s) as server:
            refused = server.send_message(mail)
    except ssl.SSLError:
        raise PeerUnavailable(f"destination {destination.name}: its certificate is not trusted") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise _refusal(destination, max(code for code, _ in error.recipients.values())) from None
    except smtplib.SMTPResponseException as error:
        raise _refusal(destination, error.smtp_code) from None
    except (smtplib.SMTPException, OSError):
        raise PeerUnavailable(f"destination {destination.name}: no answer") from None
    warning = f"{len(refused)} of {len(destination.recipients)} recipients were refused" if refused else None
    return Delivery(message.reference, warning)


def _refusal(destination: Destination, code: int) -> PeerUnavailable | DeliveryRefused:
    if code < 500:
        return PeerUnavailable(f"destination {destination.name}: it cannot take it now (SMTP {code})")
    return DeliveryRefused(f"destination {destination.name}: it refused it (SMTP {code})")


@contextlib.contextmanager
def _conversation(host: str, port: int, whole_s: float) -> Iterator[smtplib.SMTP]:
    # The time limit of smtplib counts for each read, so that a server that dribbles could hold us for ever.
    begun: list[_Smtp] = []
    deadline = threading.Timer(whole_s, _cut, (begun,))
    deadline.daemon = True
    deadline.start()
    try:
        server = _Smtp(begun, host, port, whole_s)
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
        yield server
        # Whatever comes of the farewell, the message was taken: it must not be sent again.
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()
    finally:
        for server in begun:
            server.close()
        deadline.cancel()


class _Smtp(smtplib.SMTP):
    """Makes itself known before it connects: the constructor already waits for the server's greeting."""

    def __init__(self, begun: "list[_Smtp]", host: str, port: int, timeout: float) -> None:
        begun.append(self)
        super().__init__(host, port, local_hostname=_OUR_NAME, timeout=timeout)


def _cut(begun: list[_Smtp]) -> None:
    for server in begun:
        if server.sock is not None:
            with contextlib.suppress(OSError):
                server.sock.shutdown(socket.SHUT_RDWR)


def _mail(message: Says, destination: Destination) -> EmailMessage:
    made = EmailMessage()
    made["From"] = destination.sender
    made["To"] = ", ".join(destination.recipients)
    made["Subject"] = message.subject()
    made["Date"] = formatdate()
    # The same for the same message, so that a mail server can drop a second copy.
    made["Message-ID"] = f"<{hashlib.sha256(message.idempotency_key.encode()).hexdigest()[:40]}@osler>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.text())
    return made
