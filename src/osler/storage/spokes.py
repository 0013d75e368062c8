"""What a hub has of the studies of its spokes. Every function joins the transaction of its caller."""

from sqlalchemy import Connection, Row, func, select, update

from osler.domain.events import DeidentifiedInstance
from osler.domain.states import JobState, Role
from osler.storage.database import insert_ignore
from osler.storage.tables import inference, job, spoke_instance, spoke_study
from osler.storage.tables import instance as own_instance
from osler.storage.tables import study as own_study


def site_of(connection: Connection, study_uid: str) -> str | None:
    """Return whose study this is; None when it is no spoke's."""
    return connection.execute(select(spoke_study.c.site).where(spoke_study.c.study_uid == study_uid)).scalar()


def whose(connection: Connection, study_uid: str) -> str:
    """Return the spoke that a study is of, or who sent it to us, as ``dimse:<calling AE title>``; empty for nobody."""
    query = select(own_instance.c.source).join(own_study, own_study.c.id == own_instance.c.study_id)
    sender = connection.execute(query.where(own_study.c.study_uid == study_uid).limit(1)).scalar()
    return site_of(connection, study_uid) or sender or ""


def open_study(connection: Connection, study_uid: str, site: str, *, now: float) -> int | None:
    """Take a study for a site.

    Returns
    -------
    int or None
        The last revision that was whole, 0 for none; None when the study is another site's, or our own.
    """
    if connection.execute(select(own_study.c.id).where(own_study.c.study_uid == study_uid)).first() is not None:
        return None
    row = {"study_uid": study_uid, "site": site, "revision": 0, "received_at": now}
    insert_ignore(connection, spoke_study, [row])
    same = spoke_study.c.study_uid == study_uid
    found = connection.execute(select(spoke_study).where(same).with_for_update()).one()
    return found.revision if found.site == site else None


def close_revision(connection: Connection, study_uid: str, revision: int) -> None:
    """Note that a revision of a study is whole."""
    connection.execute(update(spoke_study).where(spoke_study.c.study_uid == study_uid).values(revision=revision))


def instances(connection: Connection, study_uid: str) -> dict[str, DeidentifiedInstance]:
    """Return what is here of a study, by SOP Instance UID."""
    rows = connection.execute(select(spoke_instance).where(spoke_instance.c.study_uid == study_uid))
    return {r.sop_uid: DeidentifiedInstance(r.sop_uid, r.series_uid, r.sop_class_uid, r.blob) for r in rows}


def keep_instance(connection: Connection, study_uid: str, instance: DeidentifiedInstance, *, now: float) -> None:
    """Note an instance; one that was made anew takes the place of the former."""
    values = {
        "series_uid": instance.series_instance_uid,
        "sop_class_uid": instance.sop_class_uid,
        "blob": instance.blob,
        "received_at": now,
    }
    key = {"study_uid": study_uid, "sop_uid": instance.sop_instance_uid}
    if not insert_ignore(connection, spoke_instance, [key | values]):
        same = (spoke_instance.c.study_uid == study_uid, spoke_instance.c.sop_uid == instance.sop_instance_uid)
        connection.execute(update(spoke_instance).where(*same).values(**values))


def open_jobs(connection: Connection, study_uid: str) -> int:
    """Count the jobs of a study that a model has still to read, but for shadows."""
    states = [JobState.SCHEDULED.value, JobState.IN_PROGRESS.value]
    query = select(func.count()).where(job.c.study_uid == study_uid, job.c.state.in_(states))
    return int(connection.execute(query.where(job.c.role != Role.SHADOW.value)).scalar_one())


def results(connection: Connection, study_uid: str) -> list[Row[tuple[int, str]]]:
    """Return revision and body of each result on a study that is for its site, in the order of their making."""
    query = select(inference.c.revision, inference.c.body).where(
        inference.c.study_uid == study_uid, inference.c.role != Role.SHADOW.value
    )
    return list(connection.execute(query.order_by(inference.c.created_at, inference.c.id)))
