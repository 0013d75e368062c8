"""Search in the FHIR store: CPU per search, SQL and opened page together, and how it grows.

    python bench/search.py [--observations 60000] [--url postgresql://...]

Each line: a search, its matches, and the CPU milliseconds of this process for one page of 20 (median of 50).
"""

import argparse
import functools
import itertools
import operator
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table

from osler.domain.reach import EVERYTHING, Part, ReachOf
from osler.standards import fhir
from osler.standards.fhir_json import FhirDecimal
from osler.standards.fhir_query import parse_query
from osler.storage import Database
from osler.storage.database import insert_rows, sqlite_url
from osler.storage.migrate import upgrade
from osler.storage.resource_index import ResourceIndex
from osler.storage.resource_search import Page, ResourceSearch
from osler.storage.resources import ResourceStore
from osler.storage.stored import binding
from osler.storage.tables import resource as resource_table
from osler.vault import KeyRing

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
BATCH = 500
BUILT_AT_ONCE = 50_000
LARGE = 60_000
OBSERVATIONS_OF_A_PATIENT = 100
CODES = 50


def observation(number: int, patients: int) -> dict[str, Any]:
    day = 1 + number % 28
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "identifier": [{"system": "urn:lab", "value": f"L{number}"}],
        "status": "final",
        "category": [{"coding": [{"system": "urn:category", "code": "laboratory"}]}],
        "code": {"coding": [{"system": LOINC, "code": f"code-{number % CODES}"}], "text": "a measurement"},
        "subject": {"reference": f"Patient/p{number // CODES % patients}"},
        "effectiveDateTime": f"{2000 + number % 24}-{1 + number // 24 % 12:02}-{day:02}T{number % 24:02}:00:00Z",
        "valueQuantity": {"value": FhirDecimal(f"{number // 7 % 1000}.50"), "unit": "mg", "system": UCUM, "code": "mg"},
    }


def patient(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": [{"system": "urn:mrn", "value": f"M{number}"}],
        "name": [{"family": f"Family{number}", "given": [f"Given{number % 100}"]}],
        "birthDate": f"{1940 + number % 60}-01-{1 + number % 28:02}",
        "gender": "female" if number % 2 else "male",
    }


def content(observations: int) -> Iterator[dict[str, Any]]:
    patients = max(1, observations // OBSERVATIONS_OF_A_PATIENT)
    for number in range(patients):
        yield patient(number)
    for number in range(observations):
        yield observation(number, patients)


def fill(database: Database, store: ResourceStore, observations: int) -> None:
    batch: list[dict[str, Any]] = []

    def write() -> None:
        some, batch[:] = list(batch), []
        database.write(lambda connection: [store.put(connection, each) for each in some])

    for resource in content(observations):
        batch.append(resource)
        if len(batch) == BATCH:
            write()
    if batch:
        write()


def build(database: Database, keyed: dict[str, Any], observations: int) -> None:
    """Fill a large database in a few big transactions; each row is as the store would write it."""
    index, sealer, at = ResourceIndex(keyed["index"]), keyed["sealer"], round(time.time(), 3)
    resources = iter(content(observations))

    def write(connection: Connection) -> bool:
        some = list(itertools.islice(resources, BUILT_AT_ONCE))
        if database.dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA cache_size=-2000000")
        rows: dict[Table, list[dict[str, Any]]] = {}
        for each in some:
            type_name, logical_id = each["resourceType"], each["id"]
            stamped = each | {"meta": {"versionId": "1", "lastUpdated": fhir.instant(at)}}
            own, others = index.rows(connection, stamped)
            for table, found in others.items():
                rows.setdefault(table, []).extend(found)
            sealed = sealer.seal(fhir.dumps(stamped).encode(), binding(type_name, logical_id, 1))
            row = {"type": type_name, "id": logical_id, "version": 1, "updated_at": at, "method": "PUT"}
            rows.setdefault(resource_table, []).append(row | {"deleted": False, "sealed": sealed} | own)
        for table, found in rows.items():
            found.sort(key=operator.itemgetter(*(column.name for column in table.primary_key)))
            insert_rows(connection, table, found)
        return len(some) == BUILT_AT_ONCE

    while database.write(write):
        pass


ALL: ReachOf = lambda *_: EVERYTHING  # noqa: E731
ONE: ReachOf = lambda *_: (Part("p7", restricted=False),)  # noqa: E731
SEARCHES: tuple[tuple[str, str, list[tuple[str, str]], ReachOf], ...] = (
    ("patient and code", "Observation", [("patient", "p7"), ("code", f"{LOINC}|code-3")], ALL),
    ("patient and code, of one patient's token", "Observation", [("patient", "p7"), ("code", "code-3")], ONE),
    ("patient", "Observation", [("patient", "p7")], ALL),
    ("patient, category and date", "Observation",
     [("patient", "p7"), ("category", "laboratory"), ("date", "ge2010"), ("date", "lt2020")], ALL),
    ("code", "Observation", [("code", "code-3")], ALL),
    ("two codes", "Observation", [("code", "code-3,code-4")], ALL),
    ("status", "Observation", [("status", "final")], ALL),
    ("identifier", "Observation", [("identifier", "urn:lab|L77")], ALL),
    ("date", "Observation", [("date", "2010-03")], ALL),
    ("value", "Observation", [("value-quantity", "gt999||mg")], ALL),
    ("code and value", "Observation", [("code-value-quantity", "code-3$gt990||mg")], ALL),
    ("chain", "Observation", [("patient.identifier", "urn:mrn|M7")], ALL),
    ("code, not status", "Observation", [("code", "code-3"), ("status:not", "final")], ALL),
    ("all, the latest", "Observation", [], ALL),
    ("all, by change", "Observation", [("_sort", "-_lastUpdated")], ALL),
    ("with the patient", "Observation", [("patient", "p7"), ("_include", "Observation:patient")], ALL),
    ("name", "Patient", [("name", "family7")], ALL),
    ("name contains", "Patient", [("name:contains", "mily77")], ALL),
    ("birthdate", "Patient", [("birthdate", "1950-01-11")], ALL),
    ("_has", "Patient", [("_has:Observation:patient:code", "code-3")], ALL),
)  # fmt: skip


def once(search: ResourceSearch, type_name: str, pairs: list[tuple[str, str]], reach: ReachOf) -> Page:
    return search.search(parse_query(type_name, pairs, now=0.0), reach)


def measured(run: Callable[[], Any], times: int) -> tuple[Any, float]:
    run()
    taken = []
    for _ in range(times):
        start = time.process_time()
        found = run()
        taken.append(time.process_time() - start)
    return found, statistics.median(taken) * 1000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--observations", type=int, default=60_000)
    arguments.add_argument("--times", type=int, default=50)
    arguments.add_argument("--url", default="")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(given.url or sqlite_url(Path(folder) / "osler.db"))
        upgrade(database)
        keys = KeyRing.open(database, master_key=bytes(32), tenant="default")
        keyed: Any = {"sealer": keys.sealer("record"), "index": keys.index}
        start, cpu = time.perf_counter(), time.process_time()
        if given.observations > LARGE:
            build(database, keyed, given.observations)
        else:
            fill(database, ResourceStore(database, **keyed), given.observations)
        count = given.observations + given.observations // OBSERVATIONS_OF_A_PATIENT
        took = (time.perf_counter() - start, time.process_time() - cpu)
        print(f"{count} resources in {took[0]:.0f} s ({took[1] / count * 1000:.2f} CPU-ms each)")
        if not given.url:
            print(f"{(Path(folder) / 'osler.db').stat().st_size / count:.0f} bytes each")
        search = ResourceSearch(database, **keyed)
        for name, type_name, pairs, reach in SEARCHES:
            asked = [*pairs, ("_count", "20")]
            run = functools.partial(once, search, type_name, asked, reach)
            page, ms = measured(run, given.times)
            print(f"{name:45} {len(page.matches):3} of {page.total if page.total is not None else 'many':>6} {ms:8.2f}")
        database.close()


if __name__ == "__main__":
    main()
