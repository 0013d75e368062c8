"""How many workers there are, and how many the waiting work asks for."""

import math
from typing import Final

from sqlalchemy import Connection, func, select

from osler.domain.inference_json import loads
from osler.domain.states import JobState
from osler.metrics import Figures
from osler.storage.tables import inference, job
from osler.storage.workers import LOST_S, listing

_RECENT_S: Final = 3600.0
_SAMPLE: Final = 51
_SHORTEST_S: Final = 0.001
_UNKNOWN_S: Final = 1.0  # of a model that has not read yet


def workforce(connection: Connection, now: float, *, aim_s: float) -> Figures:
    """Read the ledger.

    Parameters
    ----------
    connection : Connection
    now : float
        Seconds since the epoch, UTC.
    aim_s : float
        Time within which what waits should be done, seconds.
    """
    alive = [one for one in listing(connection) if one.heartbeat_at >= now - LOST_S]
    busy = sum(1 for one in alive if one.busy)
    draining = sum(1 for one in alive if one.draining)
    wanted = wanted_workers(waiting_s(connection, now), aim_s=aim_s)
    return Figures(
        {
            "osler_workers": {
                ("busy",): float(busy),
                ("idle",): float(len(alive) - busy),
                ("draining",): float(draining),
            },
            "osler_workers_wanted": {(): float(wanted)},
        }
    )


def waiting_s(connection: Connection, now: float) -> float:
    """Return how long one worker would need for all that waits or is in work, seconds."""
    open_states = (JobState.SCHEDULED.value, JobState.IN_PROGRESS.value)
    query = select(job.c.model, func.count()).where(job.c.state.in_(open_states)).group_by(job.c.model)
    waiting = connection.execute(query).all()
    return sum((count * job_s(connection, model, now) for model, count in waiting), start=0.0)


def job_s(connection: Connection, model: str, now: float) -> float:
    """Return how long a job of a model keeps a worker, seconds: the median of the last, of a batch its share."""
    lately = (
        select(inference.c.body)
        .where(inference.c.model == model, inference.c.created_at > now - _RECENT_S)
        .order_by(inference.c.created_at.desc())
        .limit(_SAMPLE)
    )
    taken = sorted(sum(loads(body).seconds.values()) for body in connection.execute(lately).scalars())
    return max(taken[len(taken) // 2], _SHORTEST_S) if taken else _UNKNOWN_S


def wanted_workers(work_s: float, *, aim_s: float) -> int:
    """Return how many workers do so much work in so much time; none for none."""
    return math.ceil(work_s / aim_s) if work_s > 0 else 0
