"""Alarms to the people who answer for the hub, each to each destination once."""

from collections.abc import Callable, Sequence

import structlog

from osler.config import Destination
from osler.errors import DeliveryRefused, PeerUnavailable
from osler.publish import mail, webhook
from osler.publish.message import Says

log = structlog.get_logger(__name__)


class Alarms:
    """Sends alarms, and remembers which destination has had which until it is told to forget.

    Parameters
    ----------
    destinations : sequence of Destination
        Of the kinds ``webhook`` and ``smtp``.
    hosts : sequence of str
        Hosts that may be called.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, destinations: Sequence[Destination], hosts: Sequence[str], clock: Callable[[], float]) -> None:
        self._destinations = destinations
        self._hosts = hosts
        self._clock = clock
        self._sent: set[tuple[str, str]] = set()

    def send(self, alarm: Says) -> PeerUnavailable | None:
        """Send to every destination that has not had it; return an error when one may take it later."""
        late = [error for one in self._destinations if (error := self._send(alarm, one)) is not None]
        return late[0] if late else None

    def forget(self, alarm: Says) -> None:
        """Forget an alarm that is on record as told."""
        self._sent -= {sent for sent in self._sent if sent[0] == alarm.idempotency_key}

    def _send(self, alarm: Says, destination: Destination) -> PeerUnavailable | None:
        if (alarm.idempotency_key, destination.name) in self._sent:
            return None
        try:
            if destination.kind == "webhook":
                webhook.send(alarm, destination, allowed_hosts=self._hosts, clock=self._clock)
            else:
                mail.send(alarm, destination, allowed_hosts=self._hosts)
        except PeerUnavailable as error:
            return error
        except DeliveryRefused:
            log.warning("alarm refused", destination=destination.name)
        self._sent.add((alarm.idempotency_key, destination.name))
        return None
