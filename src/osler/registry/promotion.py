"""Who may make a version the champion: evidence that suffices, and two persons.

One person asks, with the figures of the version and of the champion on the same locked set; another confirms, and what
the ledger says of the two on live work is looked at again. A rollback brings back what the last promotion replaced,
and needs neither.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from osler.config import Config
from osler.errors import Conflict, NotFound
from osler.registry.agreement import agreements
from osler.storage.tables import drift_alarm, model_evaluation, model_promotion


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a model's champion, asked for or done. ``from_version`` is empty when there was none before."""

    id: str
    name: str
    kind: str
    from_version: str
    to_version: str
    evidence: Mapping[str, Any]
    requested_by: str
    confirmed_by: str | None = None

    def document(self) -> dict[str, Any]:
        """Write it as JSON values."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "from": self.from_version,
            "to": self.to_version,
            "requested_by": self.requested_by,
            "confirmed_by": self.confirmed_by,
            "evidence": dict(self.evidence),
        }


def keep_evaluation(connection: Connection, sha256: str, document: Mapping[str, Any], *, by: str, at: float) -> None:
    """Write down that a model was measured here, so that the file can be held against it.

    Parameters
    ----------
    connection : Connection
    sha256 : str
        Of the file.
    document : mapping
        See :func:`osler.hub.evaluation.evaluate`.
    by : str
    at : float
        Seconds since the epoch, UTC.
    """
    known = connection.execute(select(model_evaluation.c.sha256).where(model_evaluation.c.sha256 == sha256)).first()
    if known is None:
        row = {
            "sha256": sha256,
            "model": f"{document['model']['name']}@{document['model']['version']}",
            "weights": document["model"]["sha256"],
            "dataset": document["dataset"]["sha256"],
            "body": json.dumps(document),
            "made_by": by,
            "made_at": at,
        }
        connection.execute(model_evaluation.insert(), [row])


def weigh(
    connection: Connection, config: Config, *, name: str, champion: str, to: str, evaluation: str
) -> tuple[dict[str, Any], list[str]]:
    """Gather the evidence for a version, and say what is missing.

    Parameters
    ----------
    connection : Connection
    config : Config
        Its ``promotion.*`` settings say what suffices.
    name, champion, to : str
        The model, its present version (empty for none) and the one that is to follow.
    evaluation : str
        SHA-256 of the file that ``osler models evaluate`` wrote.

    Returns
    -------
    dict, list of str
        The evidence, and one sentence for each thing that does not suffice.
    """
    evidence: dict[str, Any] = {"evaluation": evaluation}
    missing = _figures(connection, config, evidence, (name, champion, to, evaluation))
    if champion:
        missing += _agreement(connection, config, evidence, (f"{name}@{champion}", f"{name}@{to}"))
    alarms = _open_alarms(connection, [f"{name}@{champion}", f"{name}@{to}"])
    evidence["open_drift_alarms"] = alarms
    if alarms:
        missing.append(f"{alarms} drift alarms of {name} are open")
    return evidence, missing


def ask(connection: Connection, change: Change, *, at: float) -> None:
    """Write down that a person asks for another champion; an older question is dropped."""
    waiting = (model_promotion.c.name == change.name, model_promotion.c.state == "requested")
    connection.execute(update(model_promotion).where(*waiting).values(state="superseded"))
    connection.execute(model_promotion.insert(), [_row(change, "requested", at)])


def asked(connection: Connection, name: str, to: str) -> Change:
    """Return what was asked for and not confirmed yet.

    Raises
    ------
    NotFound
        If nobody asked for that version.
    """
    table = model_promotion
    row = connection.execute(
        select(table).where(table.c.name == name, table.c.to_version == to, table.c.state == "requested")
    ).first()
    if row is None:
        raise NotFound(f"nobody asked to promote {name}@{to}: that comes first, without --confirm")
    return _change(row)


def confirm(connection: Connection, change: Change, *, evidence: Mapping[str, Any], by: str, at: float) -> None:
    """Write down that a second person confirms it.

    Raises
    ------
    Conflict
        If it is the same person, or somebody was faster.
    """
    if by == change.requested_by:
        raise Conflict(f"{by} asked for it: another person must confirm")
    table = model_promotion
    done = connection.execute(
        update(table)
        .where(table.c.id == change.id, table.c.state == "requested")
        .values(state="confirmed", confirmed_by=by, confirmed_at=at, evidence=json.dumps(evidence))
    )
    if done.rowcount != 1:
        raise Conflict("it was confirmed or replaced meanwhile")


def confirmed(connection: Connection, name: str) -> Change | None:
    """Return the last change of a champion that was done; None when there was none."""
    table = model_promotion
    row = connection.execute(
        select(table)
        .where(table.c.name == name, table.c.state == "confirmed")
        .order_by(table.c.confirmed_at.desc(), table.c.requested_at.desc())
        .limit(1)
    ).first()
    return None if row is None else _change(row)


def note_rollback(connection: Connection, change: Change, *, at: float) -> None:
    """Write down that a person brought the former champion back."""
    row = _row(change, "confirmed", at) | {"confirmed_by": change.requested_by, "confirmed_at": at}
    connection.execute(model_promotion.insert(), [row])


def new_change(kind: str, name: str, versions: tuple[str, str], *, evidence: Mapping[str, Any], by: str) -> Change:
    """Make a change with a new id; ``versions`` are the former and the coming champion's."""
    return Change(secrets.token_hex(8), name, kind, *versions, evidence, by)


def _figures(
    connection: Connection, config: Config, evidence: dict[str, Any], about: tuple[str, str, str, str]
) -> list[str]:
    name, champion, to, evaluation = about
    table = model_evaluation
    row = connection.execute(select(table).where(table.c.sha256 == evaluation)).first()
    if row is None:
        return ["the evaluation was not made by this hub (osler models evaluate), or was changed since"]
    if row.model != f"{name}@{to}":
        return [f"the evaluation is of {row.model}"]
    document = json.loads(row.body)
    evidence |= {"dataset": row.dataset, "weights": row.weights, "figures": document["labels"]}
    locked = config.items("promotion.locked_sets")
    if locked and row.dataset not in locked:
        return ["the data set is none of promotion.locked_sets"]
    if not champion:
        return []
    former = connection.execute(
        select(table.c.body)
        .where(table.c.model == f"{name}@{champion}", table.c.dataset == row.dataset)
        .order_by(table.c.made_at.desc())
        .limit(1)
    ).scalar_one_or_none()
    if former is None:
        return [f"the champion {name}@{champion} was not measured on the same set: osler models evaluate it too"]
    evidence["champion_figures"] = json.loads(former)["labels"]
    return _losses(evidence, config.number("promotion.max_auroc_loss"))


def _losses(evidence: Mapping[str, Any], most: float) -> list[str]:
    missing = []
    coming = {one["label"]: one for one in evidence["figures"]}
    for one in evidence["champion_figures"]:
        label, before = one["label"], one["auroc"]["value"]
        after = coming.get(label, {"auroc": {"value": None}})["auroc"]["value"]
        if before is not None and (after is None or before - after > most):
            missing.append(
                f"{label}: AUROC {after} on the locked set, the champion {before} (promotion.max_auroc_loss)"
            )
    return missing


def _agreement(connection: Connection, config: Config, evidence: dict[str, Any], models: tuple[str, str]) -> list[str]:
    found = agreements(connection, *models)
    evidence["agreement"] = [one.document() for one in found]
    least, wanted = config.number("promotion.min_agreement"), config.integer("promotion.min_compared")
    missing = [] if found else ["the two have not read the same live studies: give it the alias challenger first"]
    for one in found:
        if one.compared < wanted:
            missing.append(f"{one.label}: compared on {one.compared} live findings, {wanted} are wanted")
        elif one.agreement.value is not None and one.agreement.value < least:
            missing.append(f"{one.label}: they agree in {one.agreement.value:.3f} of live findings, {least} is wanted")
    return missing


def _open_alarms(connection: Connection, models: Sequence[str]) -> int:
    """Count the open alarms of drift of either."""
    query = select(func.count()).where(drift_alarm.c.closed_at.is_(None), drift_alarm.c.model.in_(models))
    return connection.execute(query).scalar_one()


def _row(change: Change, state: str, at: float) -> dict[str, Any]:
    return {
        "id": change.id,
        "name": change.name,
        "kind": change.kind,
        "from_version": change.from_version,
        "to_version": change.to_version,
        "state": state,
        "evidence": json.dumps(change.evidence),
        "requested_by": change.requested_by,
        "requested_at": at,
    }


def _change(row: Any) -> Change:
    evidence = json.loads(row.evidence)
    return Change(
        row.id, row.name, row.kind, row.from_version, row.to_version, evidence, row.requested_by, row.confirmed_by
    )
