"""The signs of life of the workers of this process."""

import contextlib
import time
from collections.abc import Callable

from sqlalchemy import Connection

from osler.errors import OslerError
from osler.hub.worker_pool import WorkerPool
from osler.storage import Database, workers


class Heartbeats:
    """Gives the signs.

    Parameters
    ----------
    database : Database
    pool : WorkerPool
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(self, database: Database, pool: WorkerPool, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._pool = pool
        self._clock = clock

    def beat(self) -> bool:
        """Give a sign, and take those off the list that gave none for long. Always False: there is no more to do."""
        now = self._clock()
        signs = self._pool.signs(now)
        with self._database.read() as connection:
            lost = [one.id for one in workers.listing(connection) if one.heartbeat_at < now - 2 * workers.LOST_S]

        def change(connection: Connection) -> None:
            for sign in signs:
                workers.sign(connection, sign)
            if lost:
                workers.leave(connection, lost)

        if signs or lost:
            self._database.write(change)
        return False

    def end(self) -> None:
        """Take our workers off the list."""
        ids = [sign.id for sign in self._pool.signs(self._clock())]
        with contextlib.suppress(OslerError):  # they are taken off when they give no sign
            self._database.write(lambda connection: workers.leave(connection, ids))
