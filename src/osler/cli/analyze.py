"""``osler analyze``: file in, finding out, without a server; the same de-identification and the same sandbox."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.domain.findings import CaseResult, Inference
from osler.domain.states import AgeBand
from osler.errors import InputRejected
from osler.hub.cards import start_of
from osler.infer.child import InferenceProcess
from osler.infer.messages import Reading
from osler.infer.spool import Spool
from osler.ingest.folder import find_files
from osler.plugins import Instance, Study
from osler.standards.dicom import read_identity

_STUDIES_AT_A_TIME = 16


def add_commands(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(analyze)


@dataclass
class _Series:
    """One series of the caller's files, and what became of it."""

    study_uid: str
    series_uid: str
    files: list[str] = field(default_factory=list)
    refused: str | None = None
    results: list[CaseResult] = field(default_factory=list)


@dataclass
class _Work:
    """One study on its way: its series by real and by pseudonymous UID, and the safe files in the spool."""

    series: dict[str, _Series] = field(default_factory=dict)
    pseudonymous: dict[str, _Series] = field(default_factory=dict)
    sop_uids: dict[str, str] = field(default_factory=dict)
    instances: list[Instance] = field(default_factory=list)
    age_band: AgeBand = AgeBand.UNKNOWN

    def series_of(self, study_uid: str, series_uid: str) -> _Series:
        """Return a series by its real UID."""
        return self.series.setdefault(series_uid, _Series(study_uid, series_uid))


def analyze(
    ctx: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.", exists=True)],
    model: Annotated[
        str | None, typer.Option(help="NAME, NAME@VERSION or NAME@champion; else the first one enabled.")
    ] = None,
    age_policy: Annotated[str | None, typer.Option(help="Ages to admit: intended, unknown or any.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Read files with a model and print what it says of each series, or why it does not read it.

    Ends with 1 when nothing could be read, with 3 when some files were not readable.
    """
    caller: Caller = ctx.obj
    given = {"models.age_policy": age_policy} if age_policy else {}
    config = caller.config(data_dir, given=given)
    start = start_of(config, model or config.items("models.enabled")[0])
    unreadable: list[dict[str, str]] = []
    rows: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory(prefix="osler-analyze-") as folder,
        Progress(console=progress_console(), transient=True) as progress,
    ):
        spool = Spool(Path(folder))
        try:
            with InferenceProcess(start, spool) as process:
                rows = _read_all(paths, process, spool, unreadable, progress)
        finally:
            spool.close()
    emit(rows + unreadable, as_json, lambda console: _draw(console, rows, unreadable))
    if unreadable or not rows:
        raise typer.Exit(3 if rows else 1)


def _read_all(
    paths: Sequence[Path],
    process: InferenceProcess,
    spool: Spool,
    unreadable: list[dict[str, str]],
    progress: Progress,
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    by_study: dict[str, list[Path]] = {}
    for path in find_files(paths):
        try:
            study_uid = read_identity(path.read_bytes()).study_instance_uid
        except InputRejected as error:
            unreadable.append({"path": str(path), "refused": str(error)})
        else:
            by_study.setdefault(study_uid, []).append(path)
    task = progress.add_task("reading", total=len(by_study))
    studies = iter(by_study.values())
    while batch := list(islice(studies, _STUDIES_AT_A_TIME)):
        works = [_prepare(members, spool.study_folder(f"study-{n}")) for n, members in enumerate(batch)]
        rows += _infer(works, process)
        spool.clear()
        progress.advance(task, len(batch))
    return rows


def _prepare(members: Sequence[Path], folder: Path) -> _Work:
    """De-identify the files of one study into the spool."""
    work, pseudonyms = _Work(), EphemeralPseudonyms()
    for path in members:
        content = path.read_bytes()
        identity = read_identity(content)
        series = work.series_of(identity.study_instance_uid, identity.series_instance_uid)
        series.files.append(str(path))
        try:
            safe = deidentify_instance(content, pseudonyms=pseudonyms)
        except InputRejected as error:
            series.refused = f"not de-identified: {error}"
            continue
        target = folder / f"{safe.sop_instance_uid}.dcm"
        target.write_bytes(safe.content)
        work.instances.append(Instance(safe.sop_instance_uid, safe.series_instance_uid, target))
        work.pseudonymous[safe.series_instance_uid] = series
        work.sop_uids[safe.sop_instance_uid] = identity.sop_instance_uid
        if work.age_band is AgeBand.UNKNOWN:
            work.age_band = safe.age_band
    return work


def _infer(works: Sequence[_Work], process: InferenceProcess) -> list[dict[str, Any]]:
    readings = [
        Reading(str(n), Study(f"2.25.{n}", tuple(w.instances), w.age_band)) for n, w in enumerate(works) if w.instances
    ]
    for answer in process.read(readings) if readings else []:
        work = works[int(answer.job_id)]
        if not isinstance(answer.result, Inference):
            for series in work.pseudonymous.values():
                series.refused = str(answer.result)
            continue
        for refusal in answer.result.refusals:
            work.pseudonymous[refusal.series_instance_uid].refused = refusal.reason
        for result in answer.result.results:
            work.pseudonymous[result.series_instance_uid].results.append(result)
    version = process.hello.card.model_version
    model = {"name": version.name, "version": version.version, "sha256": version.sha256}
    return [_row(series, work, model) for work in works for series in work.series.values()]


def _row(series: _Series, work: _Work, model: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "path": series.files[0],
        "files": series.files,
        "study_instance_uid": series.study_uid,
        "series_instance_uid": series.series_uid,
        "model": model,
    }
    if not series.results:
        return row | {"refused": series.refused or "the model read nothing in it"}
    row["findings"] = [
        {
            "label": finding.label,
            "code": finding.code.value,
            "scheme": finding.code.scheme,
            "probability": finding.probability,
            "threshold": finding.threshold,
            "positive": finding.positive,
            "critical": finding.critical and finding.positive,
            "sop_instance_uid": work.sop_uids[result.sop_instance_uids[0]],
        }
        for result in series.results
        for finding in result.findings
    ]
    row["outside_intended_use"] = list(dict.fromkeys(r for one in series.results for r in one.outside_intended_use))
    row["ood_score"] = max((r.ood_score for r in series.results if r.ood_score is not None), default=None)
    return row


def _draw(console: Console, rows: Sequence[dict[str, Any]], unreadable: Sequence[dict[str, str]]) -> None:
    for row in rows:
        for finding in row.get("findings", ()):
            verdict = "at or above" if finding["positive"] else "below"
            console.print(
                f"{row['path']}: {finding['label']} {finding['probability']:.3f}, {verdict} {finding['threshold']:.3f}"
                f"  ({row['model']['name']} {row['model']['version']}, AI-made, preliminary)"
            )
        for reason in row.get("outside_intended_use", ()):
            console.print(f"{row['path']}: {reason}")
        if "refused" in row:
            console.print(f"{row['path']}: refused: {row['refused']}")
    for one in unreadable:
        console.print(f"{one['path']}: {one['refused']}")
