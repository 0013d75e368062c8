"""What is kept of each case for the watch, and how it is read again."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, func, select

from osler.domain.events import Recorded
from osler.monitor.drift import WINDOWS, Case, Sample, Stream
from osler.storage.database import insert_ignore
from osler.storage.tables import instance, study
from osler.storage.tables import watched_case as cases

_LONGEST: Final = max(WINDOWS)
_MOST_STREAMS: Final = 20
_LONGEST_NAME: Final = 64


def keep(connection: Connection, recorded: Recorded, *, site: str) -> int:
    """Keep what is watched of an inference, within the transaction that writes it down; return how many cases."""
    rows = []
    for number, result in enumerate(recorded.inference.results):
        figures = {f"input:{name}": value for name, value in result.inputs.items()}
        figures |= {f"score:{finding.label}": finding.probability for finding in result.findings}
        if result.ood_score is not None:
            figures["input:ood_score"] = result.ood_score
        rows.append(
            {
                "inference_id": recorded.id,
                "number": number,
                "model": str(recorded.inference.model),
                "site": site[:_LONGEST_NAME],
                "scanner": result.origin.get("scanner", ""),
                "body": Case(figures, {**result.origin, "site": site[:_LONGEST_NAME]}).dumps(),
                "created_at": recorded.recorded_at,
            }
        )
    return insert_ignore(connection, cases, rows)


def sender_of(connection: Connection, study_uid: str) -> str:
    """Return who sent a study: the peer's kind and name, as ``dimse:TITLE``; empty when it came another way."""
    of_study = select(instance.c.source).join(study, instance.c.study_id == study.c.id)
    return connection.execute(of_study.where(study.c.study_uid == study_uid).limit(1)).scalar_one_or_none() or ""


def watched_models(connection: Connection) -> dict[str, int]:
    """Return the models that have cases, each with the number of its last one."""
    rows = connection.execute(select(cases.c.model, func.max(cases.c.seq)).group_by(cases.c.model))
    return {model: int(seq) for model, seq in rows}


def count_since(connection: Connection, model: str, seq: int) -> int:
    """Return how many cases of a model came after one."""
    after = select(func.count()).where(cases.c.model == model, cases.c.seq > seq)
    return int(connection.execute(after).scalar_one())


def last_seq(connection: Connection, model: str) -> int:
    """Return the number of the last case of a model; 0 for none."""
    return int(connection.execute(select(func.max(cases.c.seq)).where(cases.c.model == model)).scalar_one() or 0)


def streams_of(connection: Connection, model: str, *, reference: int, after: int) -> list[Stream]:
    """Read the streams of a model that have a whole reference and a window of cases beyond it.

    Parameters
    ----------
    reference : int
        Cases that the reference of a stream has: its first.
    after : int
        Cases up to this one do not count.
    """
    mine = (cases.c.model == model, cases.c.seq > after)
    whole = _stream(connection, "all", mine, reference)
    if whole is None:
        return []
    found = [whole]
    for column in (cases.c.site, cases.c.scanner):
        last = select(column).where(*mine).order_by(cases.c.seq.desc()).limit(_LONGEST).subquery()
        names = (
            connection.execute(select(last.c[0]).distinct().order_by(last.c[0]).limit(_MOST_STREAMS)).scalars().all()
        )
        for name in [n for n in names if n] if len(names) > 1 else []:  # one that is alone is all
            one = _stream(connection, f"{column.name}:{name}", (*mine, column == name), reference)
            if one is not None:
                found.append(one)
    return found


def _stream(connection: Connection, name: str, mine: Sequence[ColumnElement[bool]], reference: int) -> Stream | None:
    query = select(cases.c.seq, cases.c.body).where(*mine)
    first = connection.execute(query.order_by(cases.c.seq).limit(reference)).all()
    if len(first) < reference:
        return None
    beyond = query.where(cases.c.seq > first[-1].seq).order_by(cases.c.seq.desc()).limit(_LONGEST)
    last = connection.execute(beyond).all()[::-1]
    if len(last) < min(WINDOWS):
        return None
    return Stream(name, _sample(first), _sample(last))


def _sample(rows: Sequence[Any]) -> Sample:
    return Sample(Case.loads(row.body) for row in rows)
