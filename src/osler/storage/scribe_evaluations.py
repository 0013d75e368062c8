"""What was measured of drafts and of hearing. Every function joins the transaction of its caller."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from osler.storage.tables import scribe_evaluation as table


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One report that was kept.

    Parameters
    ----------
    report : mapping
        As ``osler scribe evaluate --json`` writes it.
    made_by : str
    made_at : float
        Seconds since the epoch, UTC.
    """

    report: Mapping[str, Any]
    made_by: str
    made_at: float


def add(connection: Connection, new: Evaluation) -> None:
    """Keep a report."""
    body = json.dumps(dict(new.report))
    connection.execute(table.insert().values(body=body, made_by=new.made_by, made_at=new.made_at))


def newest(connection: Connection, limit: int) -> list[Evaluation]:
    """Return the reports that were kept last, the newest first."""
    rows = connection.execute(select(table).order_by(table.c.seq.desc()).limit(limit))
    return [Evaluation(json.loads(row.body), row.made_by, row.made_at) for row in rows]
