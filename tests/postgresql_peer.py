"""A PostgreSQL of our own on a Unix socket, for tests."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

_START_S = 60.0


class PostgresqlServer:
    """A server that may be killed and started again.

    Parameters
    ----------
    initdb, postgres : str
        Paths of the programs.
    options : sequence of str
        Settings, ``name=value``, beside those of tests.
    """

    def __init__(self, initdb: str, postgres: str, options: Sequence[str] = ()) -> None:
        self._postgres = postgres
        self._options = [word for option in ("listen_addresses=", "fsync=off", *options) for word in ("-c", option)]
        # Not under pytest's folder, which is for its user alone: PostgreSQL refuses to run as root.
        self.folder = Path(tempfile.mkdtemp(prefix="osler-postgresql-"))
        root = os.geteuid() == 0
        self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
        if root:
            shutil.chown(self.folder, user="postgres")
        subprocess.run(
            [*self._as_user, initdb, "-D", self.folder / "db", "-U", "osler", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            capture_output=True,
        )
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://osler@/{database}?host={self.folder}"

    def start(self) -> "PostgresqlServer":
        """Start it, and wait until it answers; after a kill, as soon as what is left of the killed one has gone."""
        deadline = time.monotonic() + _START_S
        log = self.folder / "postgresql.log"
        while True:
            if self.process is None or self.process.poll() is not None:
                with log.open("ab") as stderr:
                    self.process = subprocess.Popen(
                        [
                            *(*self._as_user, self._postgres, "-D", self.folder / "db", "-k", self.folder),
                            *self._options,
                        ],
                        stdout=subprocess.DEVNULL,
                        stderr=stderr,
                    )
            try:
                psycopg.connect(self.url()).close()
                return self
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise AssertionError(f"PostgreSQL did not start: {log.read_text(errors='replace')}") from None
            time.sleep(0.1)

    def kill(self) -> None:
        """End its first process as a crash would; the others notice, and end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        """End it, and remove its folder."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # fast shutdown: clients that are left do not hold it up
            self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)
