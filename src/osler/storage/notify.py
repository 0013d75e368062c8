"""Wake whoever waits for work in other processes.

On PostgreSQL a change says what it made room for with NOTIFY, in its own transaction: the others hear of it when, and
only when, it is committed. On SQLite nobody is told; loops and workers look again after a fraction of a second, as
they do on PostgreSQL when a message is lost with its connection.
"""

import threading
from collections.abc import Callable
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

from osler.storage.database import Database

Step = Literal["deidentify", "infer", "results", "publish"]

_CHANNEL: Final = "osler"
_LOOK_S: Final = 1.0
_RETRY_S: Final = 1.0
_NOTIFY: Final = text("SELECT pg_notify(:channel, :step)")


def announce(connection: Connection, step: Step) -> None:
    """Say, within a change, that there will be work for a step once it is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(_NOTIFY, {"channel": _CHANNEL, "step": step})


class Listener:
    """Hears what the changes of all processes announce; does nothing on SQLite.

    Parameters
    ----------
    database : Database
    on_step : callable
        Told of the step, in a thread of the listener's own. Must be quick.
    """

    def __init__(self, database: Database, on_step: Callable[[str], None]) -> None:
        self._database = database
        self._on_step = on_step
        self._stopping = threading.Event()
        self._listening = threading.Event()
        self._thread: threading.Thread | None = None
        if database.dialect == "postgresql":
            self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to listen; returns at once."""
        if self._thread is not None:
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(5.0)

    def wait(self, timeout_s: float) -> bool:
        """Return whether it listens, at the latest after so many seconds; at once, and False, on SQLite."""
        return self._thread is not None and self._listening.wait(timeout_s)

    def _run(self) -> None:
        import psycopg

        while not self._stopping.is_set():
            try:
                arguments = self._database.connection_arguments() | {"application_name": "osler listener"}
                with psycopg.connect(**arguments, autocommit=True) as connection:
                    connection.execute(f"LISTEN {_CHANNEL}")
                    self._listening.set()
                    # What was announced before, nobody heard: all look once.
                    for step in ("deidentify", "infer", "results", "publish"):
                        self._on_step(step)
                    self._hear(connection)
            except psycopg.Error:
                self._listening.clear()
                self._stopping.wait(_RETRY_S)

    def _hear(self, connection: Any) -> None:
        while not self._stopping.is_set():
            for heard in connection.notifies(timeout=_LOOK_S):
                self._on_step(heard.payload)
                if self._stopping.is_set():
                    return
