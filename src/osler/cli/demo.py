"""``osler demo``: two real radiographs through the whole flow, on this machine, shown as it happens."""

import secrets
import tempfile
import time
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pydicom
import typer
from pydicom.data import get_testdata_file
from rich.console import Console
from sqlalchemy import func, select

from osler.audit import HUB, AuditEntry, AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.config import Config
from osler.domain.events import Recorded
from osler.domain.states import DeliveryState, JobState, StudyState
from osler.errors import ConfigError, OslerError
from osler.hub.hub import Hub
from osler.hub.opening import create_data_dir, open_stores
from osler.ingest.folder import Outcome, send
from osler.models.cxr.pixels import read_grey
from osler.plugins import Card
from osler.publish.outbox import Listed, Outbox, recorded_result
from osler.publish.page import Facts, Illustration, illustrate, render_page
from osler.storage.tables import inference, instance, job, outbox, study
from osler.stores import Stores
from osler.testing.peers import Pacs, Pager, free_ports

SAMPLES: Final = {"RG1_UNCI.dcm": "an adult chest, CR, MONOCHROME1", "RG3_UNCI.dcm": "a leg, CR, MONOCHROME1"}
_PATIENCE_S: Final = 90.0
_LOOK_S: Final = 0.05
_OPEN_JOBS: Final = (JobState.SCHEDULED, JobState.IN_PROGRESS)
_OPEN_STUDIES: Final = (StudyState.RECEIVING, StudyState.COMPLETE)

_CONFIG = """\
# Written by osler demo. The hub of the demo can be started again: osler serve --data-dir {folder}
[site]
name = "Osler demo"

[dimse]
address = "127.0.0.1:{dimse_port}"

[http]
address = "127.0.0.1:{http_port}"

[study]
quiet_s = 1

[models]
age_policy = "any"              # research: the sample is an adult, the model is for children; every result says so

[publish]
secondary_capture = true

[[destination]]
name = "pacs"
kind = "dicom"
address = "{pacs}"
ae_title = "PACS"

[[destination]]
name = "pager"
kind = "webhook"
url = "{pager}"
secret = "{secret}"
when = "always"                 # in a hospital: critical
"""


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


def demo(ctx: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Send two real radiographs through a hub of their own, and show what becomes of them."""
    caller: Caller = ctx.obj
    console = progress_console() if as_json else Console(highlight=False, soft_wrap=True)
    folder = (data_dir or Path(tempfile.mkdtemp(prefix="osler-demo-"))).absolute()
    if (folder / "osler.db").exists():
        raise ConfigError(f"{folder} holds a hub already; the demo wants a folder of its own")
    secret = secrets.token_hex(16)
    pacs, pager = Pacs(folder / "pacs"), Pager(secret)
    try:
        dimse_port, http_port = free_ports(2)
        settings = _CONFIG.format(
            folder=folder,
            dimse_port=dimse_port,
            http_port=http_port,
            pacs=pacs.address,
            pager=pager.url,
            secret=secret,
        )
        (folder / "osler.toml").write_text(settings, encoding="utf-8")
        config = caller.config(folder)
        create_data_dir(config, caller.environ)
        with open_stores(config, caller.environ) as stores:
            document = _Demo(stores, config, console, pacs, pager).run()
    finally:
        pacs.stop()
        pager.stop()
    emit(document, as_json, lambda out: out.print(f"\nLook at it:   {document['page']}"))
    if not as_json and (caller.environ.get("DISPLAY") or caller.environ.get("WAYLAND_DISPLAY")):
        webbrowser.open(Path(document["page"]).as_uri())


@dataclass
class _Demo:
    stores: Stores
    config: Config
    console: Console
    pacs: Pacs
    pager: Pager
    began: float = field(default_factory=time.time)
    told: int = 0
    cards: Mapping[str, Card] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        hub = Hub(self.stores, self.config)
        self.cards = hub.cards
        hub.start()
        try:
            self._send(hub)
            self._follow(hub)
            recorded, refused = self._results()
            self.stores.audit.checkpoint()
            verified = self.stores.audit.verify()
            self.stores.audit.record(AuditRecord("audit-verified", agent=HUB, detail={"entries": verified.entries}))
            document = self._document(recorded, refused, verified.ok)
        finally:
            hub.stop()
        document["page"] = str(self._page(recorded, document))
        self._say(f"[bold]audit verified[/]: {verified.entries} entries" if verified.ok else "AUDIT DOES NOT HOLD")
        return document

    def _send(self, hub: Hub) -> None:
        assert hub.scp is not None
        address = ("127.0.0.1", hub.scp.port)
        title = self.config.text("dimse.ae_title")
        paths = []
        for name, words in SAMPLES.items():
            path = get_testdata_file(name, download=False)
            if path is None:
                raise ConfigError(f"{name} is not there; it comes with the package pydicom-data")
            paths.append(Path(str(path)))
            self._say(f"sending {name} ({words}) to {title}@127.0.0.1:{hub.scp.port} with C-STORE")
        self.began = time.time()
        report = send(paths, address=address, called_ae_title=title)
        for file in report.files:
            if file.outcome is not Outcome.SENT:
                self._say(f"[red]{file.outcome}[/]: {file.path.name} {file.comment}")

    def _follow(self, hub: Hub) -> None:
        """Tell each event as it comes into the audit, until nothing more is to be done."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            finished = self._finished()
            for entry in reversed(self.stores.audit.search(since=self.began - 1, limit=500)):
                if entry.seq > self.told:
                    self.told = entry.seq
                    self._tell(entry)
            if finished:
                return
            if hub.broken.is_set() or time.monotonic() > deadline:
                raise OslerError("the demo did not come to an end; look at: osler doctor")
            time.sleep(_LOOK_S)

    def _finished(self) -> bool:
        with self.stores.database.read() as connection:
            settled = connection.execute(select(func.count()).where(study.c.state.not_in(_OPEN_STUDIES))).scalar_one()
            waiting = connection.execute(
                select(
                    select(func.count()).where(job.c.state.in_(_OPEN_JOBS)).scalar_subquery()
                    + select(func.count()).where(outbox.c.state == DeliveryState.PENDING).scalar_subquery()
                )
            ).scalar_one()
        return bool(settled == len(SAMPLES) and waiting == 0)

    def _tell(self, entry: AuditEntry) -> None:
        detail = {d["type"]: d["valueString"] for e in entry.resource.get("entity", ()) for d in e.get("detail", ())}
        words = {
            "study-received": "received, sealed, on disk: acknowledged",
            "study-complete": "study complete: nothing more came",
            "study-deidentified": "de-identified by PS3.15 basic profile",
            "study-quarantined": f"[yellow]quarantined[/]: {detail.get('rule')}",
            "job-queued": f"queued for {detail.get('model')}",
            "inference-recorded": f"read: {detail.get('results')} images, {detail.get('refused')} series refused",
            "result-published": f"delivered: {detail.get('kind')} to {detail.get('destination')}",
            "result-disclosed": f"delivered: {detail.get('kind')} to {detail.get('destination')}",
            "alert-raised": f"[bold red]alert[/] to {detail.get('destination')}",
            "delivery-failed": f"[red]delivery failed[/]: {detail.get('reason')}",
        }.get(entry.event)
        if words:
            self._say(words, at=entry.recorded_at)

    def _say(self, words: str, *, at: float | None = None) -> None:
        self.console.print(f"[dim]{max(0.0, (at or time.time()) - self.began):7.2f} s[/]  {words}")

    def _results(self) -> tuple[Recorded, list[str]]:
        with self.stores.database.read() as connection:
            found = [recorded_result(connection, i) for i in connection.execute(select(inference.c.id)).scalars()]
        refused = [r.reason for one in found for r in one.inference.refusals]
        for reason in refused:
            self._say(f"[yellow]refused[/]: {reason}")
        read = next((one for one in found if one.inference.results), None)
        if read is None:
            raise OslerError("the model read nothing; see the reasons above")
        return read, refused

    def _document(self, recorded: Recorded, refused: list[str], verified: bool) -> dict[str, Any]:
        model, result = recorded.inference.model, recorded.inference.results[0]
        finding = result.findings[0]
        deliveries = {d.kind: d for d in Outbox(self.stores.database).entries() if d.model == str(model)}
        message = self.pager.messages[-1].body if self.pager.messages else None
        document = {
            "finding": {
                "label": finding.label,
                "probability": round(finding.probability, 4),
                "threshold": finding.threshold,
                "positive": finding.positive,
                "outside_intended_use": list(result.outside_intended_use),
            },
            "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
            "report": (_reference(deliveries, "fhir") or "").removeprefix("DiagnosticReport/"),
            "sr": _reference(deliveries, "sr"),
            "alert": message
            and {"id": message["id"], "event": message["event"], "signed": self.pager.messages[-1].signed},
            "audit": {"verified": verified},
            "refused": refused,
            "data_dir": str(self.config.data_dir),
            "steps": self._steps(recorded),
        }
        self._show(document)
        return document

    def _show(self, document: dict[str, Any]) -> None:
        finding = document["finding"]
        verdict = "at or above" if finding["positive"] else "below"
        say = self.console.print
        say()
        say(f"Finding:      [bold]{finding['label']}[/], probability {finding['probability']:.3f} "
            f"({verdict} the threshold {finding['threshold']:.3f})")  # fmt: skip
        for reason in finding["outside_intended_use"]:
            say(f"              [yellow]{reason}[/]")
        say(f"Model:        {document['model']['name']} {document['model']['version']}, AI-made, preliminary")
        say(f"FHIR report:  DiagnosticReport/{document['report']}")
        say(f"DICOM SR:     {document['sr']}")
        if document["alert"]:
            say(f"Alert:        {document['alert']['event']} {document['alert']['id']}, signature checked by the pager")
        say()

    def _steps(self, recorded: Recorded) -> list[dict[str, Any]]:
        """Say how long each step took for the study that was read, seconds."""
        with self.stores.database.read() as connection:
            row = connection.execute(
                select(study).where(study.c.study_uid == recorded.inference.study_instance_uid)
            ).one()
            one = connection.execute(select(job).where(job.c.study_uid == recorded.inference.study_instance_uid)).one()
            ended = connection.execute(
                select(func.max(outbox.c.finished_at)).where(outbox.c.inference_id == recorded.id)
            ).scalar_one()
        marks = [
            ("receive", self.began, row.last_received_at),
            ("wait until complete", row.last_received_at, row.completed_at),
            ("deidentify", row.completed_at, one.created_at),
            ("queue", one.created_at, one.started_at),
            ("infer and record", one.started_at, one.finished_at),
            ("publish", one.finished_at, ended),
        ]
        return [{"name": name, "seconds": round(max(0.0, end - start), 3)} for name, start, end in marks]

    def _page(self, recorded: Recorded, document: dict[str, Any]) -> Path:
        facts = Facts(
            recorded=recorded,
            illustrations=[self._illustration(recorded)],
            card=self.cards.get(str(recorded.inference.model)),
            site=self.config.text("site.name"),
            references={
                "FHIR DiagnosticReport": document["report"],
                "DICOM SR": document["sr"] or "",
                "Alert": (document["alert"] or {}).get("id", "none"),
            },
            steps=[(s["name"], s["seconds"]) for s in document["steps"]],
            audit_verified=document["audit"]["verified"],
        )
        path = self.config.data_dir / "result.html"
        path.write_text(render_page(facts), encoding="utf-8")
        return path

    def _illustration(self, recorded: Recorded) -> Illustration:
        result = recorded.inference.results[0]
        with self.stores.database.read() as connection:
            blob = connection.execute(
                select(instance.c.deidentified_blob).where(instance.c.sop_uid == result.sop_instance_uids[0])
            ).scalar_one()
        image = pydicom.dcmread(pydicom.filebase.DicomBytesIO(self.stores.deidentified.get(blob)))
        return illustrate(result, image, render=read_grey, heatmap=self.stores.deidentified.get)


def _reference(deliveries: dict[str, Listed], kind: str) -> str | None:
    return deliveries[kind].reference if kind in deliveries else None
