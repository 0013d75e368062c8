"""The alarm of broken glass, to the privacy officer: sent until it has arrived."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from osler.api.people.glass import BrokenGlass, Opening
from osler.audit import HUB, AuditRecord
from osler.config import Config
from osler.errors import PeerUnavailable
from osler.hub.alarms import Alarms
from osler.standards.fhir import Resource, instant
from osler.stores import Stores


@dataclass(frozen=True, slots=True)
class GlassAlarm:
    """One alarm: who, for which patient by pseudonym, and where to look. Not the reason, which may name the patient."""

    opening: Opening
    base_url: str

    @property
    def idempotency_key(self) -> str:
        """The same each time it is sent."""
        return f"glass/{self.opening.id}"

    @property
    def reference(self) -> str:
        """The opening."""
        return self.opening.id

    def document(self) -> Resource:
        """Return it as JSON values."""
        return {
            "event": "glass-broken",
            "id": self.opening.id,
            "person": self.opening.person,
            "patient": f"Patient/{self.opening.patient}",
            "opened_at": instant(self.opening.opened_at),
            "ends_at": instant(self.opening.ends_at),
            "url": self._url,
        }

    def subject(self) -> str:
        """Return one line."""
        return "Glass broken: a restricted record was opened"

    def text(self) -> str:
        """Return it in plain words."""
        until = instant(self.opening.ends_at)
        return (
            f"{self.opening.person} broke the glass for Patient/{self.opening.patient}, until {until}.\n"
            f"The reason that was given, and the review: {self._url}\n"
        )

    @property
    def _url(self) -> str:
        return f"{self.base_url}/account/reviews"


class GlassAlarms:
    """Sends what has not gone out.

    Parameters
    ----------
    stores : Stores
    config : Config
        Its ``privacy_destinations`` are told; without any, the audit and the log are the alarm.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, stores: Stores, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._stores = stores
        self._config = config
        self._clock = clock
        self._glass = BrokenGlass(stores.database, sealer=stores.keyring.sealer("record"))
        self._alarms = Alarms(config.privacy_destinations, config.items("alert.allowed_hosts"), clock)

    def step(self) -> bool:
        """Send every alarm that waits; those of one that does not arrive wait for the next time.

        Raises
        ------
        PeerUnavailable
            If a destination does not answer; the others have got theirs.
        """
        if not self._config.privacy_destinations:
            return False
        unanswered: PeerUnavailable | None = None
        for opening in self._glass.untold():
            alarm = GlassAlarm(opening, self._config.base_url)
            late = self._alarms.send(alarm)
            if late is not None:
                unanswered = late
            else:
                self._stores.database.write(lambda c, opening=opening: self._told(c, opening))  # type: ignore[misc]
                self._alarms.forget(alarm)
        if unanswered is not None:
            raise unanswered
        return False

    def _told(self, connection: Connection, opening: Opening) -> None:
        self._glass.told(connection, opening.id, now=self._clock())
        names = " ".join(d.name for d in self._config.privacy_destinations)
        record = AuditRecord("glass-told", agent=HUB, entities=(f"glass:{opening.id}",), detail={"destinations": names})
        self._stores.audit.append(connection, record)
