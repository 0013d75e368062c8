"""In what role a model reads a study, as the ledger has it beside the job and the result."""

from sqlalchemy import Connection, select, update

from osler.domain.events import Deidentified
from osler.domain.states import JobState, Priority, Role
from osler.storage.tables import job


def set_role(connection: Connection, study: Deidentified, model: str, role: Role) -> None:
    """Write the role beside a job that was just put; a shadow waits behind all work that somebody waits for."""
    values = {"role": role.value} | ({"priority": Priority.LOW.value} if role is Role.SHADOW else {})
    same = (job.c.study_uid == study.study_instance_uid, job.c.revision == study.revision, job.c.model == model)
    connection.execute(update(job).where(*same).values(**values))


def role_of(connection: Connection, job_id: str) -> Role:
    """Return the role of a job; one that nobody gave a role is a champion's."""
    return Role(connection.execute(select(job.c.role).where(job.c.id == job_id)).scalar_one_or_none() or Role.CHAMPION)


def models_with_work(connection: Connection) -> set[str]:
    """Return the models (``name@version``) that have jobs to do, or in work."""
    open_states = (JobState.SCHEDULED.value, JobState.IN_PROGRESS.value)
    return set(connection.execute(select(job.c.model).distinct().where(job.c.state.in_(open_states))).scalars())
