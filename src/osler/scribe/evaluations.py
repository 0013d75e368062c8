"""What was measured of drafts and of hearing, kept beside what people change: reports that tell of no patient."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from osler.audit import Agent, AuditRecord
from osler.errors import Malformed
from osler.storage import scribe_evaluations
from osler.storage.scribe_evaluations import Evaluation
from osler.stores import Stores

MOST_EVALUATIONS: Final = 200
"""Reports that are shown, the last ones."""

LONGEST_NAME: Final = 100
"""Characters of the name of a data set."""


def named(name: str) -> str:
    """Return the name of a data set.

    Raises
    ------
    Malformed
        If it is none, or too long.
    """
    if not 0 < len(name) <= LONGEST_NAME:
        raise Malformed(f"the name of a data set has 1 to {LONGEST_NAME} characters")
    return name


def keep(stores: Stores, agent: Agent, report: Mapping[str, Any], *, clock: Callable[[], float] = time.time) -> None:
    """Keep a report, and put it on record.

    Parameters
    ----------
    stores : Stores
    agent : Agent
    report : mapping
        As ``osler scribe evaluate --json`` writes it: names its data set under ``corpus``.

    Raises
    ------
    Malformed
        As :func:`named`.
    """
    corpus = report["corpus"]
    named(corpus["name"])
    new = Evaluation(report, agent.name, clock())
    entry = AuditRecord("drafts-evaluated", agent=agent, detail={"corpus": corpus["sha256"]})

    def within(connection: Connection) -> None:
        scribe_evaluations.add(connection, new)
        stores.audit.append(connection, entry)

    stores.database.write(within)


def kept(stores: Stores) -> list[Evaluation]:
    """Return the reports that were kept last, the newest first."""
    with stores.database.read() as connection:
        return scribe_evaluations.newest(connection, MOST_EVALUATIONS)
