"""Write an inference down, and in the same transaction what must come of it: deliveries and, when urgent, an alert."""

import uuid
from typing import Any, Final

from sqlalchemy import Connection, select

from osler.config import ALERTING, Config, Destination
from osler.domain.events import Job, Recorded
from osler.domain.findings import Inference
from osler.domain.inference_json import dumps, loads
from osler.domain.states import DeliveryState, Role
from osler.errors import ContractViolation
from osler.storage.database import insert_ignore
from osler.storage.model_roles import role_of
from osler.storage.notify import announce
from osler.storage.tables import alert, outbox
from osler.storage.tables import inference as inference_table

_NAMESPACE: Final = uuid.UUID("0126de2c-8f4f-48d2-a78d-c84868f20d98")


def save(
    connection: Connection, job: Job, inference: Inference, *, config: Config, now: float, deliver: bool = True
) -> Recorded | None:
    """Write down what a model said of a study, and plan its deliveries.

    An inference without results (every series was refused) is written down and goes nowhere, and so does a shadow's.
    One that comes after the inference on a later revision of the study adds nothing and goes nowhere either.

    Parameters
    ----------
    connection : Connection
        Of the transaction that also completes the job.
    job : Job
    inference : Inference
        Heatmaps are blob references.
    config : Config
        Names the destinations and what they want.
    now : float
        Seconds since the epoch, UTC.
    deliver : bool
        False for a study of a spoke: its results wait to be fetched.

    Returns
    -------
    Recorded or None
        None when the same job, or the same model on the same revision of the study, was recorded before.

    Raises
    ------
    ContractViolation
        If the inference names another model, study, series or instance than its job.
    """
    _check_same(job, inference)
    model, role = str(inference.model), role_of(connection, job.id)
    earlier = connection.execute(
        select(inference_table.c.revision, inference_table.c.body).where(
            inference_table.c.study_uid == inference.study_instance_uid,
            inference_table.c.model == model,
            inference_table.c.role != Role.SHADOW.value,
        )
    ).all()
    inference_id = str(uuid.uuid5(_NAMESPACE, f"{inference.study_instance_uid}\n{job.study.revision}\n{model}"))
    row = {
        "id": inference_id,
        "job_id": job.id,
        "study_uid": inference.study_instance_uid,
        "revision": job.study.revision,
        "model": model,
        "role": role.value,
        "body": dumps(inference),
        "critical": inference.critical,
        "created_at": now,
    }
    if not insert_ignore(connection, inference_table, [row]):
        return None
    if (
        deliver
        and inference.results
        and role is not Role.SHADOW
        and all(e.revision < job.study.revision for e in earlier)
    ):
        urgent = bool(_critical(inference) - {known for e in earlier for known in _critical(loads(e.body))})
        insert_ignore(connection, outbox, _deliveries(inference_id, inference, urgent=urgent, config=config, now=now))
        announce(connection, "publish")
        if urgent:
            insert_ignore(connection, alert, [_alert(inference_id, config, now)])
    return Recorded(inference_id, inference, job.study.revision, now)


def _check_same(job: Job, inference: Inference) -> None:
    if str(inference.model) != job.model:
        raise ContractViolation("the inference names another model than its job")
    if inference.study_instance_uid != job.study.study_instance_uid:
        raise ContractViolation("the inference names another study than its job")
    series = {i.sop_instance_uid: i.series_instance_uid for i in job.study.instances}
    for result in inference.results:
        read = {series.get(uid) for uid in result.sop_instance_uids}
        if read != {result.series_instance_uid}:
            raise ContractViolation("a result names an instance or a series that its job does not have")


def _critical(inference: Inference) -> set[tuple[tuple[str, ...], str, str]]:
    """Name the critical findings: which instances, which concept."""
    return {
        (result.sop_instance_uids, finding.code.scheme, finding.code.value)
        for result in inference.results
        for finding in result.findings
        if finding.positive and finding.critical
    }


def _deliveries(
    inference_id: str, inference: Inference, *, urgent: bool, config: Config, now: float
) -> list[dict[str, Any]]:
    wanted = [("fhir", "")]
    for destination in config.destinations:
        if destination.kind in ALERTING:
            if urgent or destination.when == "always":
                wanted.append(("alert", destination.name))
        elif destination.kind == "hl7v2":
            if _takes(destination, inference):
                wanted.append(("oru", destination.name))
        elif _takes(destination, inference):
            wanted.append(("sr", destination.name))
            if config.flag("publish.secondary_capture") and any(r.heatmap for r in inference.results):
                wanted.append(("sc", destination.name))
    return [
        {
            "id": str(uuid.uuid5(_NAMESPACE, key)),
            "idempotency_key": key,
            "inference_id": inference_id,
            "kind": kind,
            "destination": name,
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "available_at": now,
            "created_at": now,
        }
        for kind, name in wanted
        for key in (f"{inference_id}/{kind}/{name}",)
    ]


def _takes(destination: Destination, inference: Inference) -> bool:
    return destination.when == "always" or inference.critical


def _alert(inference_id: str, config: Config, now: float) -> dict[str, Any]:
    escalates = config.integer("alert.max_escalations") > 0
    return {
        "id": str(uuid.uuid5(_NAMESPACE, f"{inference_id}/alert")),
        "inference_id": inference_id,
        "state": "raised",
        "level": 0,
        "raised_at": now,
        "escalate_at": now + config.number("alert.escalate_s") if escalates else None,
    }
