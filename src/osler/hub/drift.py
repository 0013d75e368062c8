"""Looks for drift as cases come in, and tells those who run the hub."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import structlog
from sqlalchemy import Connection

from osler.audit import HUB, AuditRecord
from osler.config import Config
from osler.errors import PeerUnavailable
from osler.hub.alarms import Alarms
from osler.metrics import Figures
from osler.monitor.alarms import Alarm, Watch, begin, note, open_alarms, told, untold, watch_of
from osler.monitor.cases import count_since, last_seq, streams_of, watched_models
from osler.monitor.drift import LOOK_EVERY, Change, level, look
from osler.standards.fhir import Resource, instant
from osler.stores import Stores

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DriftMessage:
    """The new alarms of one model, as they are sent: names of variables, sites and scanners, nobody's data."""

    alarms: tuple[Alarm, ...]

    @property
    def idempotency_key(self) -> str:
        """The same each time it is sent."""
        return f"drift/{self.reference}"

    @property
    def reference(self) -> str:
        """The first alarm."""
        return self.alarms[0].id

    def document(self) -> Resource:
        """Return it as JSON values."""
        return {
            "event": "drift",
            "id": self.reference,
            "model": self.alarms[0].model,
            "opened_at": instant(self.alarms[0].opened_at),
            "changes": [
                {
                    "stream": a.stream,
                    "variable": a.variable,
                    "kind": a.kind,
                    "psi": Decimal(f"{a.psi:.3f}"),
                    "chance": Decimal(f"{a.chance:.2g}"),
                }
                for a in self.alarms
            ],
        }

    def subject(self) -> str:
        """Return one line."""
        return f"Drift: {self.alarms[0].model} is shown other images than before, or answers otherwise"

    def text(self) -> str:
        """Return it in plain words."""
        lines = [f"{a.stream}: {a.variable} ({a.kind}), stability index {a.psi:.2f}" for a in self.alarms]
        return "\n".join([f"{self.subject()}.", "", *lines, "", f"osler models drift {self.alarms[0].model}", ""])


class DriftWatch:
    """Watches every model that has cases.

    Parameters
    ----------
    stores : Stores
    config : Config
        Its ``operations_destinations`` are told; without any, the audit, the metrics and the log are the alarm.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, stores: Stores, config: Config, *, clock: Callable[[], float] = time.time) -> None:
        self._stores = stores
        self._config = config
        self._clock = clock
        self._alarms = Alarms(config.operations_destinations, config.items("alert.allowed_hosts"), clock)

    def step(self) -> bool:
        """Look at each model that has enough new cases, then send the alarms that wait.

        Raises
        ------
        PeerUnavailable
            If a destination does not answer; the others have got theirs.
        """
        with self._stores.database.read() as connection:
            models = watched_models(connection)
        for model in models:
            self._look(model)
        self._tell()
        return False

    def _look(self, model: str) -> None:
        database, now = self._stores.database, self._clock()
        with database.read() as connection:
            watch = watch_of(connection, model)
            if watch is not None and count_since(connection, model, watch.looked_seq) < LOOK_EVERY:
                return
            after, seq = watch.reference_seq if watch else 0, last_seq(connection, model)
            size = self._config.integer("drift.reference")
            streams = streams_of(connection, model, reference=size, after=after)
        if not streams:
            return
        if watch is None:
            database.write(lambda c: begin(c, model, now=now))
            return
        spend = level(now - watch.looked_at, false_alarms_a_month=self._config.number("drift.false_alarms_a_month"))
        changes = look(streams, spend)
        database.write(lambda c: self._note(c, watch, changes, seq, now))

    def _note(self, connection: Connection, watch: Watch, changes: Sequence[Change], seq: int, now: float) -> None:
        opened = note(connection, watch, changes, seq=seq, now=now)
        if not opened:
            return
        names = " ".join(f"{alarm.stream}/{alarm.variable}" for alarm in opened)
        log.warning("drift", model=watch.model, changes=names)
        detail: dict[str, str | int | float] = {"model": watch.model, "changes": names}
        self._stores.audit.append(connection, AuditRecord("drift-alarm", outcome=4, agent=HUB, detail=detail))

    def _tell(self) -> None:
        with self._stores.database.read() as connection:
            waiting = untold(connection)
        unanswered: PeerUnavailable | None = None
        for _, group in itertools.groupby(waiting, key=lambda a: (a.model, a.opened_at)):
            message = DriftMessage(tuple(group))
            late = self._alarms.send(message)
            if late is not None:
                unanswered = late
                continue
            ids = [alarm.id for alarm in message.alarms]
            self._stores.database.write(partial(told, ids=ids, now=self._clock()))
            self._alarms.forget(message)
        if unanswered is not None:
            raise unanswered


def drift_figures(connection: Connection) -> Figures:
    """Return the gauges of drift: open alarms, and the index of each variable at the last look."""
    alarms: dict[tuple[str, ...], float] = {}
    indices: dict[tuple[str, ...], float] = {}
    for model in watched_models(connection):
        alarms |= {(model, "input"): 0.0, (model, "output"): 0.0}
        watch = watch_of(connection, model)
        for change in watch.changes if watch else ():
            if change["stream"] == "all":
                indices[model, change["variable"]] = change["psi"]  # of the longest window, which comes last
    for alarm in open_alarms(connection):
        alarms[alarm.model, alarm.kind] = alarms.get((alarm.model, alarm.kind), 0.0) + 1
    return Figures({"osler_drift_alarms": alarms, "osler_drift_psi": indices})
