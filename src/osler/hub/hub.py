"""One program, several roles: the threads of a running hub."""

import contextlib
import hashlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from starlette.applications import Starlette

from osler.api.app import create_app
from osler.api.cds_hooks.feedback import CardStore
from osler.api.denials import Denials
from osler.api.services import Services
from osler.api.smart.clients import ClientStore
from osler.api.smart.signing import SigningKeys
from osler.api.smart.tokens import TokenStore
from osler.audit import HUB, AuditRecord
from osler.config import Config, split_address
from osler.deidentify.recognisers import installed_recognisers
from osler.errors import ConfigError, OslerError
from osler.hub.drift import DriftWatch, drift_figures
from osler.hub.edge import Edge, open_link
from osler.hub.endpoints import Endpoints
from osler.hub.exports import Exports, open_exports
from osler.hub.feedback import feedback_on
from osler.hub.glass_alarms import GlassAlarms
from osler.hub.heartbeats import Heartbeats
from osler.hub.loop import Loop
from osler.hub.merges import Merges
from osler.hub.messages import MessageDesk
from osler.hub.observer import NetworkObserver
from osler.hub.opening import ROLES
from osler.hub.people import open_people
from osler.hub.pressure import BackPressure
from osler.hub.publishing import make_publisher
from osler.hub.readiness import ready_checks
from osler.hub.scribe import Scribe
from osler.hub.serving import Serving, in_words
from osler.hub.spokes import Spokes
from osler.hub.subscriptions import Notifier, open_subscriptions
from osler.hub.surroundings import surroundings
from osler.hub.web import WebServer
from osler.hub.worker_pool import WorkerPool
from osler.ingest import mllp
from osler.ingest.dimse import AcceptList, Limits, StorageScp
from osler.ingest.mllp import MllpListener
from osler.metrics import Figures, Metrics
from osler.monitor.outcomes import outcome_figures, outcomes
from osler.monitor.workforce import workforce
from osler.pipeline import Pipeline, Runtime
from osler.publish.hosts import AllowedHosts
from osler.storage import studies
from osler.storage.notify import Listener
from osler.storage.workers import BEAT_S
from osler.stores import Stores
from osler.tls import DOORS, door
from osler.tracing import open_tracer

_STOP_S: Final = 20.0

log = structlog.get_logger(__name__)


class Hub:
    """Runs roles of the pipeline until it is stopped.

    Parameters
    ----------
    stores : Stores
    config : Config
    roles : iterable of str
        Some of :data:`ROLES`.

    Raises
    ------
    ConfigError
        If a role or a model does not exist, or an address cannot be listened on.
    """

    def __init__(self, stores: Stores, config: Config, *, roles: Iterable[str] = ROLES) -> None:
        self.roles = tuple(roles)
        unknown = set(self.roles) - set(ROLES)
        if unknown or not self.roles:
            wrong = f"unknown role {sorted(unknown)[0]!r}" if unknown else "no role is given"
            raise ConfigError(f"{wrong}; the roles are {', '.join(ROLES)}")
        self.config = config
        self.stores = stores
        installed_recognisers()  # a broken one stops the start, not the first text
        self.metrics = Metrics()
        stores.database.on_wait = self.metrics.writer_waited
        self.broken = threading.Event()
        # Different for each start, and with a beginning by which the next start knows what this one left claimed.
        folder = hashlib.sha256(str(config.data_dir).encode()).hexdigest()[:8]
        self._owner_prefix = f"{socket.gethostname()}-{folder}-"
        self.owner = f"{self._owner_prefix}{os.getpid()}-{secrets.token_hex(3)}"
        self.tracer = open_tracer(config, self.owner)
        self.serving = Serving(config, stores.database)
        self.cards = self.serving.cards
        self.pipeline = Pipeline(
            stores,
            config,
            models=self.serving.lineup.champions,
            publisher=make_publisher(stores, config, metrics=self.metrics, owner=self.owner, cards=self.cards),
            runtime=Runtime(self.owner, self.metrics, wake=self._wake, tracer=self.tracer),
        )
        self.pipeline.lineup, self.pipeline.cards = self.serving.lineup, self.cards
        self.pressure = BackPressure(
            stores, self.pipeline.accept, max_waiting=config.integer("queue.max_waiting"), metrics=self.metrics
        )
        self.exports = open_exports(stores, config)
        self.subscriptions = open_subscriptions(stores.keyring, config)
        self.subscription_hosts = AllowedHosts(config.items("subscription.hosts"), setting="subscription.hosts")
        self._loops: dict[str, Loop] = {}
        self.scribe = Scribe(stores, config, owner=self.owner, wake=self._wake)
        self.pool = WorkerPool(stores.queue, stores.deidentified, config, record=self.pipeline.record, owner=self.owner)
        self.pool.on_batch = self.metrics.batch
        self.pool.ask = Endpoints(config, stores.audit, self.metrics)
        self.heartbeats = Heartbeats(stores.database, self.pool)
        self.scp: StorageScp | None = None
        self.mllp: MllpListener | None = None
        self.web: WebServer | None = None
        self._application: Starlette | None = None
        self._peers_refused = Denials(stores.audit)
        self._tls = {name: door(config, name) for name in DOORS}
        self._finished = threading.Event()
        self._listener = Listener(stores.database, self._wake)

    def start(self) -> None:
        """Begin all roles; returns when they run."""
        self.stores.audit.record(
            AuditRecord(event="hub-started", outcome=0, agent=HUB, detail={"roles": " ".join(self.roles)})
        )
        if "deidentifier" in self.roles:
            self.stores.database.write(lambda connection: studies.release(connection, self._owner_prefix))
        if "publisher" in self.roles:
            self.pipeline.publisher.release(self._owner_prefix)
        if {"scribe", "publisher"} & set(self.roles):
            self.scribe.release(self._owner_prefix)
        self._start_loops()
        self._listener.start()
        if "worker" in self.roles:
            self.pool.start(self.serving)
        if "dimse" in self.roles:
            self.scp = self._storage_scp()
            self.scp.start(self._tls["dimse"])
        if "mllp" in self.roles and self.config.text("mllp.address"):
            self.mllp = self._mllp_listener()
            self.mllp.start()
        if "http" in self.roles:
            self._application = self._make_application()
            self.web = WebServer(self._application, self.config.text("http.address"), tls=self._tls["http"])
            self.web.start()

    def stop(self) -> None:
        """Take nothing new, let what is in hand end, and write the last checkpoint."""
        if self.scp is not None:
            self.scp.stop()
        if self.mllp is not None:
            self.mllp.stop()
        if self.web is not None:
            self.web.stop()
        if self._application is not None:
            self._application.state.denials.flush()
        self._peers_refused.flush()
        self._listener.stop()
        self.pool.drain()
        for loop in self._loops.values():
            loop.stop(_STOP_S)
        self.pool.join(_STOP_S)
        self.heartbeats.end()
        self.tracer.close()
        with contextlib.suppress(OslerError):  # a full disk must not keep the hub from stopping
            self.stores.audit.record(AuditRecord(event="hub-stopped", outcome=0, agent=HUB))
            self.stores.audit.checkpoint()

    def _start_loops(self) -> None:
        steps = {
            "complete": (self._complete, 0.25, "deidentifier"),
            "deidentify": (self.pipeline.deidentify, 0.5, "deidentifier"),
            # Alerts and the chart wait behind no slow PACS.
            "alert": (lambda: self.pipeline.publish(("alert",)), 0.5, "publisher"),
            "fhir": (lambda: self.pipeline.publish(("fhir",)), 0.5, "publisher"),
            "pacs": (lambda: self.pipeline.publish(("sr", "sc")), 0.5, "publisher"),
            "messages": (lambda: self.pipeline.publish(("oru",)), 0.5, "publisher"),
            "escalate": (self.pipeline.publisher.escalate, 1.0, "publisher"),
            "glass": (GlassAlarms(self.stores, self.config).step, 1.0, "publisher"),
            "merge": (Merges(self.stores).step, 1.0, "mllp"),
            "export": (self._exports().step, 1.0, "publisher"),
            "subscribers": (self._notifier().step, 0.5, "publisher"),
            **self._edge(),
            **self.scribe.loops(),
            "results": (self.pipeline.take_in, 0.1, "publisher"),
            "heartbeat": (self.heartbeats.beat, BEAT_S, None),
            "drift": (DriftWatch(self.stores, self.config).step, 10.0, "publisher"),
            "feedback": (self._feedback, 300.0, "http"),
            "certificates": (self._renew, 60.0, None),
            "models": (self._look_at_models, self.config.number("registry.look_s"), None),
            "checkpoint": (self._checkpoint, self.config.number("audit.checkpoint_s"), None),
        }
        for name, (step, every_s, role) in steps.items():
            if role is None or role in self.roles:
                self._loops[name] = Loop(
                    name, step, every_s=every_s, on_broken=self._break, on_failed=self.metrics.loop_failed
                )
        if {"deidentifier", "worker"} & set(self.roles):
            self._loops["relay"] = Loop(
                "relay", self._relay, every_s=0.25, on_broken=self._break, on_failed=self.metrics.loop_failed
            )
        for loop in self._loops.values():
            loop.start()

    def _feedback(self) -> bool:
        self.metrics.show(outcome_figures(outcomes(feedback_on(self.stores))))
        return False

    def _figures(self) -> list[Figures]:
        with self.stores.database.read() as connection:
            drift = drift_figures(connection)
            workers = workforce(connection, time.time(), aim_s=self.config.number("worker.latency_aim_s"))
        return [surroundings(self.stores, self.config), drift, workers]

    def _exports(self) -> Exports:
        keep_s = self.config.number("export.keep_hours") * 3600
        return Exports(self.stores, self.exports, keep_s=keep_s, base=f"{self.config.base_url}/fhir/R4")

    def _edge(self) -> dict[str, tuple[Callable[[], bool], float, str]]:
        if not self.config.text("edge.hub"):
            return {}
        edge = Edge(self.stores, self.config, open_link(self.config), metrics=self.metrics, wake=self._wake)
        return {"edge": (edge.step, 0.5, "publisher")}

    def _notifier(self) -> Notifier:
        return Notifier(
            self.stores,
            self.subscriptions,
            hosts=self.subscription_hosts,
            max_attempts=self.config.integer("subscription.max_attempts"),
        )

    def _complete(self) -> bool:
        self.pipeline.complete()
        return False

    def _look_at_models(self) -> bool:
        before = self.serving.lineup
        if self.serving.look():
            self.pool.use(self.serving)
            self.pipeline.lineup = self.serving.lineup  # after the workers: nothing is queued for a version unserved
            if self.serving.lineup != before:
                log.info("models-changed", **in_words(self.serving.lineup))
                self.stores.audit.record(AuditRecord("models-changed", agent=HUB, detail=in_words(self.serving.lineup)))
        return False

    def _checkpoint(self) -> bool:
        self.stores.audit.checkpoint()
        return False

    def _renew(self) -> bool:
        for name, tls in self._tls.items():
            if tls is not None and tls.refresh():
                log.info("certificate renewed", door=name)
        return False

    def _relay(self) -> bool:
        """Bring jobs to the broker, when there is one."""
        self.metrics.set_queue_reachable(self.stores.queue.reachable())
        return self.stores.queue.relay()

    def _break(self, error: BaseException) -> None:
        self.broken.set()

    def _wake(self, step: str) -> None:
        if step == "infer":
            step = "relay"
            self.pool.wake()
        for name in ("alert", "fhir", "pacs", "messages") if step == "publish" else (step,):
            if name in self._loops:
                self._loops[name].wake()

    def _make_application(self) -> Starlette:
        database = self.stores.database
        return create_app(
            Services(
                base_url=self.config.base_url,
                database=database,
                audit=self.stores.audit,
                resources=self.stores.resources,
                search=self.stores.search,
                clients=ClientStore(database),
                tokens=TokenStore(database),
                accept=self.pressure.accept,
                metrics=self.metrics,
                figures=self._figures,
                checks=ready_checks(self),
                people=open_people(self.config, self.stores),
                signing_keys=SigningKeys(database, sealer=self.stores.keyring.sealer("record")),
                jwks_hosts=tuple(self.config.items("smart.jwks_hosts")),
                max_body_bytes=self.config.integer("http.max_body_mb") * 1_000_000,
                max_resource_bytes=self.config.integer("fhir.max_resource_mb") * 1_000_000,
                check_references=self.config.flag("fhir.check_references"),
                cors_origins=tuple(self.config.items("http.cors_origins")),
                cards=CardStore(database, self.stores.keyring.sealer("record")),
                cds_fhir_hosts=tuple(self.config.items("cds.fhir_hosts")),
                exports=self.exports,
                subscriptions=self.subscriptions,
                subscription_hosts=self.subscription_hosts,
                spokes=Spokes(self.stores, self.pipeline, full=self.pressure.full),
                max_exports=self.config.integer("export.max_running"),
                scribe=self.scribe.desk,
            )
        )

    def _mllp_listener(self) -> MllpListener:
        desk = MessageDesk(
            self.stores, self.metrics, denials=self._peers_refused, site_issuer=self.config.text("site.issuer")
        )
        return MllpListener(
            desk.answer,
            address=split_address(self.config.text("mllp.address")),
            allowed=self.config.items("mllp.accept"),
            refused=desk.turned_away,
            limits=mllp.Limits(max_message_bytes=self.config.integer("mllp.max_message_mb") * 1_000_000),
            tls=self._tls["mllp"],
        )

    def _storage_scp(self) -> StorageScp:
        limits = Limits(
            max_pdu_bytes=self.config.integer("dimse.max_pdu_kb") * 1024,
            max_instance_bytes=self.config.integer("dimse.max_instance_mb") * 1_000_000,
            max_associations=self.config.integer("dimse.max_associations"),
            max_associations_per_peer=self.config.integer("dimse.max_associations_per_peer"),
            idle_s=float(self.config.integer("dimse.idle_s")),
        )
        return StorageScp(
            self.pressure.accept,
            address=split_address(self.config.text("dimse.address")),
            ae_title=self.config.text("dimse.ae_title"),
            peers=AcceptList(self.config.items("dimse.accept")),
            observer=NetworkObserver(self.metrics, self._peers_refused),
            limits=limits,
        )
