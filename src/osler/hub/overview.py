"""What a person who runs the hub wants to see at one glance."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, func, select

from osler.config import Config
from osler.domain.inference_json import loads
from osler.domain.states import JobState
from osler.hub.drift import drift_figures
from osler.hub.surroundings import surroundings
from osler.monitor.standing import standing
from osler.storage.tables import inference, job, worker
from osler.stores import Stores

_LAST: Final = 50


def overview(stores: Stores, config: Config, *, clock: Callable[[], float] = time.time) -> dict[str, Any]:
    """Return jobs, deliveries, models, workers, audit, disk and drift, as JSON values; times in seconds."""
    now = clock()
    with stores.database.read() as connection:
        values = {**standing(connection, now).values, **drift_figures(connection).values}
        models, workers = _models(connection, now), _workers(connection, now)
    values |= surroundings(stores, config, clock=clock).values
    return {
        "at": now,
        "jobs": [
            {"state": state, "priority": priority, "jobs": int(count)}
            for (state, priority), count in sorted(values["osler_jobs"].items())
        ],
        "oldest_s": {priority: round(age, 1) for (priority,), age in values["osler_queue_age_seconds"].items()},
        "dead": _int(values, "osler_jobs_dead"),
        "studies": {state: int(count) for (state,), count in values["osler_studies_waiting"].items()},
        "quarantined": _int(values, "osler_quarantine_held"),
        "models": models,
        "workers": workers,
        "deliveries": _deliveries(values),
        "alerts": {"open": _int(values, "osler_alerts_open"), "oldest_s": _age(values, "osler_alert_age_seconds")},
        "audit": {
            "entries": _int(values, "osler_audit_entries"),
            "behind": _int(values, "osler_audit_lag_entries"),
            "behind_s": _age(values, "osler_audit_lag_seconds"),
        },
        "disk": {"free": _int(values, "osler_disk_free_bytes"), "size": _int(values, "osler_disk_size_bytes")},
        "drift": [
            {"model": model, "kind": kind, "alarms": int(count)}
            for (model, kind), count in sorted(values["osler_drift_alarms"].items())
        ],
    }


def _int(values: Mapping[str, Mapping[tuple[str, ...], float]], name: str) -> int:
    return int(values[name].get((), 0))


def _age(values: Mapping[str, Mapping[tuple[str, ...], float]], name: str) -> float:
    return round(values[name].get((), 0.0), 1)


def _deliveries(values: Mapping[str, Mapping[tuple[str, ...], float]]) -> list[dict[str, Any]]:
    waiting, failed = values["osler_deliveries_waiting"], values["osler_deliveries_failed"]
    return [
        {
            "destination": labels[0],
            "waiting": int(waiting.get(labels, 0)),
            "failed": int(failed.get(labels, 0)),
            "oldest_s": round(values["osler_outbox_age_seconds"].get(labels, 0.0), 1),
        }
        for labels in sorted({*waiting, *failed})
    ]


def _models(connection: Connection, now: float) -> list[dict[str, Any]]:
    """Return for each model how much it reads and how long its last jobs took."""
    found = []
    for model in connection.execute(select(inference.c.model).distinct().order_by(inference.c.model)).scalars().all():
        mine = inference.c.model == model
        last = select(inference.c.body).where(mine).order_by(inference.c.created_at.desc()).limit(_LAST)
        seconds = sorted(sum(loads(body).seconds.values()) for body in connection.execute(last).scalars())
        hour = select(func.count()).where(mine, inference.c.created_at > now - 3600)
        waiting = select(func.count()).where(job.c.model == model, job.c.state == JobState.SCHEDULED.value)
        found.append(
            {
                "model": model,
                "last_hour": int(connection.execute(hour).scalar_one()),
                "waiting": int(connection.execute(waiting).scalar_one()),
                "median_s": round(seconds[len(seconds) // 2], 3),
                "p95_s": round(seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))], 3),
            }
        )
    return found


def _workers(connection: Connection, now: float) -> list[dict[str, Any]]:
    return [
        {
            "worker": row.id,
            "host": row.host,
            "device": row.device,
            "busy": row.busy,
            "draining": bool(row.draining),
            "heartbeat_s": round(max(0.0, now - row.heartbeat_at), 1),
        }
        for row in connection.execute(select(worker).order_by(worker.c.host, worker.c.id))
    ]
