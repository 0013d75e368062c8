"""Jobs in flow: a relay and some workers on threads, and what they did."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.states import AgeBand, Priority
from osler.errors import Transient
from osler.queue.port import Queue
from osler.storage.database import Database

MODEL = "fake@1.0.0"


def a_study(number: int = 1, *, priority: Priority = Priority.MEDIUM, revision: int = 1) -> Deidentified:
    instance = DeidentifiedInstance(f"2.25.{number}3", f"2.25.{number}2", "1.2.840.10008.5.1.4.1.1.1", "ab" * 32)
    return Deidentified(f"2.25.{number}", revision, (instance,), AgeBand.CHILD, priority)


def wait_for(condition: Callable[[], bool], timeout_s: float = 180) -> bool:
    """Look until it is so, or time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Traffic:
    """Puts jobs, and counts the effects: one for each completion that the ledger took."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.effects: Counter[str] = Counter()
        self.put_count = 0
        self._guard = threading.Lock()
        self._stop = threading.Event()

    def put(self, queue: Queue, count: int, *, priority: Priority = Priority.MEDIUM) -> None:
        for _ in range(count):
            study = a_study(self.put_count, priority=priority)
            assert self.database.write(lambda connection, s=study: queue.put(connection, s, MODEL))
            self.put_count += 1

    @contextlib.contextmanager
    def flowing(self, queues: Sequence[Queue], *, limit: int = 2) -> Iterator[None]:
        """Relay for the first queue, and one worker on each."""
        threads = [threading.Thread(target=self._relay, args=(queues[0],))]
        threads += [
            threading.Thread(target=self._work, args=(queue, f"w{number}", limit))
            for number, queue in enumerate(queues)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)

    def done(self) -> int:
        return len(self.effects)

    def _relay(self, queue: Queue) -> None:
        while not self._stop.is_set():
            if not queue.relay():
                self._stop.wait(0.05)

    def _work(self, queue: Queue, owner: str, limit: int) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(Transient):
                jobs = queue.claim(owner, models=[MODEL], limit=limit)
                for job in jobs:
                    if self.database.write(lambda connection, j=job: queue.complete(connection, j)):
                        with self._guard:
                            self.effects[job.id] += 1
                if not jobs:
                    self._stop.wait(0.02)
