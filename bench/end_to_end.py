"""From the last instance to the alert: how long a study takes, where the time goes, and what the hub adds to the model.

Starts a hub with the built-in chest model on loopback, sends it studies of one radiograph (the CR ``RG1`` of the PyPI
package pydicom-data, each with its own UIDs and patient), once one after the other and once all together, and reads
the times from the ledger. The bare model is the same model called in this process on the same de-identified file.

    python bench/end_to_end.py [studies]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from sqlalchemy import select

from osler import config as configuration
from osler.domain.states import AgeBand
from osler.hub.hub import Hub
from osler.hub.logs import set_up_logs
from osler.hub.opening import create_data_dir, open_stores
from osler.ingest.folder import send
from osler.models import cxr
from osler.plugins import Instance, LoadContext, Study
from osler.storage.tables import instance, job, outbox, study
from osler.stores import Stores
from osler.testing.peers import Pacs, Pager, free_ports

SETTINGS = """
[site]
name = "bench"
[http]
address = "127.0.0.1:{http}"
[dimse]
address = "127.0.0.1:{dimse}"
[study]
quiet_s = 1
[models]
age_policy = "any"
[[destination]]
name = "pacs"
kind = "dicom"
address = "{pacs}"
ae_title = "PACS"
[[destination]]
name = "pager"
kind = "webhook"
url = "{pager}"
secret = "bench-bench-bench"
when = "always"
"""


def studies(folder: Path, count: int) -> list[Path]:
    """Write copies of the radiograph, each a study of a patient of its own."""
    dataset = pydicom.dcmread(str(get_testdata_file("RG1_UNCI.dcm", download=False)))
    paths = []
    for number in range(count):
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(None), generate_uid(None)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(None)
        dataset.PatientID, dataset.AccessionNumber = f"B{number}-{folder.name}", f"A{number}"
        paths.append(folder / f"{number}.dcm")
        dataset.save_as(paths[-1])
    return paths


def finished(stores: Stores, wanted: int) -> bool:
    """Tell whether all deliveries of so many studies have arrived."""
    with stores.database.read() as connection:
        states = list(connection.execute(select(outbox.c.state)).scalars())
    return len(states) >= 3 * wanted and set(states) == {"delivered"}


def bare_model_s(stores: Stores) -> float:
    """Return the median time of the model alone on a de-identified file, seconds."""
    with stores.database.read() as connection:
        row = connection.execute(select(instance).limit(1)).one()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        path.write_bytes(stores.deidentified.get(row.deidentified_blob))
        model = cxr.model()
        model.load(LoadContext(age_policy="any"))
        one = Study("2.25.1", (Instance(row.sop_uid, row.series_uid, path),), AgeBand.ADULT)
        times = []
        for _ in range(12):
            began = time.perf_counter()
            model.predict(model.select(one).cases[0])
            times.append(time.perf_counter() - began)
    return statistics.median(times[2:])


def report(title: str, stores: Stores, known: set[str], bare_s: float, *, together: bool) -> set[str]:
    """Print the steps of the studies that are new, and return all that are known now."""
    with stores.database.read() as connection:
        rows = [r for r in connection.execute(select(study)).all() if r.study_uid not in known]
        jobs = {r.study_uid: r for r in connection.execute(select(job)).all()}
        ends: dict[str, float] = {}
        alerts: dict[str, float] = {}
        for r in connection.execute(select(outbox, job.c.study_uid).join_from(outbox, job, _of_job())).all():
            ends[r.study_uid] = max(ends.get(r.study_uid, 0.0), r.finished_at)
            if r.kind == "alert":
                alerts[r.study_uid] = r.finished_at
    steps = {
        "wait until complete": [r.completed_at - r.last_received_at for r in rows],
        "deidentify (with its queue)": [jobs[r.study_uid].created_at - r.completed_at for r in rows],
        "wait for a worker": [jobs[r.study_uid].started_at - jobs[r.study_uid].created_at for r in rows],
        "infer and record": [jobs[r.study_uid].finished_at - jobs[r.study_uid].started_at for r in rows],
        "publish": [ends[r.study_uid] - jobs[r.study_uid].finished_at for r in rows],
    }
    print(f"\n{title}: {len(rows)} studies")
    for name, values in steps.items():
        print(f"  {name:28s} median {statistics.median(values) * 1e3:8.1f} ms   max {max(values) * 1e3:8.1f} ms")
    to_alert = sorted(alerts[r.study_uid] - r.last_received_at for r in rows)
    p95 = to_alert[min(len(to_alert) - 1, round(0.95 * len(to_alert)))]
    print(f"  ingest to alert              median {statistics.median(to_alert):8.2f} s    p95 {p95:8.2f} s")
    if together:
        busy_s = max(jobs[r.study_uid].finished_at for r in rows) - min(jobs[r.study_uid].created_at for r in rows)
        per_study = busy_s / len(rows)
        print(f"  queue to record {per_study * 1e3:.1f} ms a study, the bare model {bare_s * 1e3:.1f} ms: "
            f"ratio {per_study / bare_s:.2f}")  # fmt: skip
    return known | {r.study_uid for r in rows}


def _of_job():  # type: ignore[no-untyped-def]
    from osler.storage.tables import inference

    return outbox.c.inference_id.in_(select(inference.c.id).where(inference.c.job_id == job.c.id))


def main(count: int) -> None:
    """Run the bench."""
    set_up_logs(sys.stderr)
    with tempfile.TemporaryDirectory(prefix="osler-bench-") as name:
        folder = Path(name)
        pacs, pager = Pacs(folder / "pacs"), Pager("bench-bench-bench")
        http, dimse = free_ports(2)
        settings = SETTINGS.format(http=http, dimse=dimse, pacs=pacs.address, pager=pager.url)
        (folder / "osler.toml").write_text(settings, encoding="utf-8")
        config = configuration.load({}, data_dir=folder)
        create_data_dir(config, {})
        with open_stores(config, {}) as stores:
            hub = Hub(stores, config)
            hub.start()
            known: set[str] = set()
            bare_s = 0.0
            for title, at_a_time in (("one after the other", 1), ("all together", count)):
                inbox = folder / title.split()[0]
                inbox.mkdir()
                paths = studies(inbox, count)
                done = len(known)
                for start in range(0, count, at_a_time):
                    send(paths[start : start + at_a_time], address=("127.0.0.1", dimse))
                    done += at_a_time
                    while not finished(stores, done):
                        time.sleep(0.02)
                bare_s = bare_s or bare_model_s(stores)
                known = report(title, stores, known, bare_s, together=at_a_time > 1)
            hub.stop()
        pacs.stop()
        pager.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
