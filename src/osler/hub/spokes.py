"""The hub's side of its spokes: studies that come de-identified, under pseudonyms of a vault that is not here."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection

from osler.audit import Agent, AuditRecord
from osler.deidentify.spoke import admitted_instance, admitted_study
from osler.domain.events import Deidentified, DeidentifiedInstance
from osler.domain.inference_json import loads
from osler.domain.manifest import PSEUDONYMOUS_UID, Manifest
from osler.domain.states import Priority
from osler.errors import AccessDenied, Malformed, NotFound, Overloaded
from osler.pipeline import Pipeline
from osler.storage import spokes
from osler.storage.blob_port import is_reference
from osler.stores import Stores

_NOT_YOURS: Final = "the study is another site's"


class Spokes:
    """Takes studies of spokes, and gives back what the models here say of them. Never learns an identity.

    Parameters
    ----------
    stores : Stores
    pipeline : Pipeline
        Whose models read the studies.
    full : callable
        Whether only what is urgent is taken now.
    clock : callable
        Seconds since the epoch, UTC.
    """

    def __init__(
        self,
        stores: Stores,
        pipeline: Pipeline,
        *,
        full: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._full = full
        self._stores = stores
        self._pipeline = pipeline
        self._clock = clock

    def offer(self, agent: Agent, study_uid: str, manifest: Manifest) -> list[str]:
        """Take a revision of a study when all of it is here.

        Returns
        -------
        list of str
            The instances that are missing, by SOP Instance UID. Empty: the models have it.

        Raises
        ------
        AccessDenied
            If the study is another site's, or our own.
        Malformed
            If the manifest is not that of the instances.
        Overloaded
            If too much waits here: the edge keeps the study, and offers it again.
        """
        if manifest.priority is not Priority.HIGH and self._full():
            raise Overloaded("more waits here than can be worked on soon; offer it again later")
        if not PSEUDONYMOUS_UID.fullmatch(study_uid):
            raise Malformed("the Study Instance UID has not the form of a pseudonym")

        def take(connection: Connection) -> tuple[list[str], bool]:
            revision = spokes.open_study(connection, study_uid, agent.name, now=self._clock())
            if revision is None:
                raise AccessDenied(_NOT_YOURS)
            here = spokes.instances(connection, study_uid)
            wanted = manifest.instances
            missing = [
                one.sop_instance_uid
                for one in wanted
                if one.sop_instance_uid not in here or here[one.sop_instance_uid].blob != one.blob
            ]
            if missing or manifest.revision <= revision:
                return missing, False
            safe = admitted_study(study_uid, manifest, (here[one.sop_instance_uid] for one in wanted))
            spokes.close_revision(connection, study_uid, manifest.revision)
            self._queue(connection, agent, safe)
            return [], True

        missing, queued = self._stores.database.write(take)
        if queued:
            self._pipeline.wake("infer")
        return missing

    def _queue(self, connection: Connection, agent: Agent, safe: Deidentified) -> None:
        self._stores.audit.append(
            connection,
            AuditRecord(
                "spoke-study-received",
                agent=agent,
                entities=(f"study:{safe.study_instance_uid}",),
                detail={"site": agent.name, "revision": safe.revision, "instances": len(safe.instances)},
            ),
        )
        self._pipeline.queue_for_models(connection, safe, site=agent.name)

    def store(self, agent: Agent, study_uid: str, sop_uid: str, content: bytes) -> None:
        """Keep one instance of a study that was offered. When this returns, it is durable.

        Raises
        ------
        NotFound
            If the study was not offered by this site.
        DeidentificationRefused, Malformed, UnsupportedKind
            If it is not what may be here.
        StorageFull, StorageBusy
            If it cannot be kept now.
        """
        self._check_owner(agent, study_uid)
        series_uid, sop_class_uid = admitted_instance(content, study_instance_uid=study_uid, sop_instance_uid=sop_uid)
        kept = DeidentifiedInstance(sop_uid, series_uid, sop_class_uid, self._stores.deidentified.put(content))
        self._stores.database.write(lambda c: spokes.keep_instance(c, study_uid, kept, now=self._clock()))

    def results(self, agent: Agent, study_uid: str) -> dict[str, Any]:
        """Return what the models said of a study, and how many have still to read it.

        Raises
        ------
        NotFound
            If the study is not this site's.
        """
        self._check_owner(agent, study_uid)
        with self._stores.database.read() as connection:
            waiting, rows = spokes.open_jobs(connection, study_uid), spokes.results(connection, study_uid)
        if rows:
            self._stores.audit.record(
                AuditRecord(
                    "spoke-answered",
                    agent=agent,
                    entities=(f"study:{study_uid}",),
                    detail={"site": agent.name, "results": len(rows), "open": waiting},
                )
            )
        found = [{"revision": row.revision, "inference": json.loads(row.body)} for row in rows]
        return {"study_instance_uid": study_uid, "open": waiting, "results": found}

    def heatmap(self, agent: Agent, study_uid: str, ref: str) -> bytes:
        """Return a heatmap that a result on a study names, a PNG file.

        Raises
        ------
        NotFound
            If the study is not this site's, or none of its results names it.
        """
        self._check_owner(agent, study_uid)
        with self._stores.database.read() as connection:
            bodies = [row.body for row in spokes.results(connection, study_uid)]
        if not is_reference(ref) or all(ref != r.heatmap for body in bodies for r in loads(body).results):
            raise NotFound("there is no such heatmap")
        return self._stores.deidentified.get(ref)

    def _check_owner(self, agent: Agent, study_uid: str) -> None:
        with self._stores.database.read() as connection:
            if spokes.site_of(connection, study_uid) != agent.name:
                raise NotFound("the site has offered no such study")
