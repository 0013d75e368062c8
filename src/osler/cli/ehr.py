"""``osler ehr keys|connect``."""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from osler.audit import AuditRecord
from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.cli.deid_fhir import Method
from osler.deidentify.engine_text import engine_by
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.errors import (
    ConfigError,
    IntegrityError,
    OslerError,
    PeerUnavailable,
    StorageBusy,
    StorageFull,
    Unauthenticated,
)
from osler.hub.ehr_connection import Connection, connected, ehr_of, key_file_of
from osler.hub.ehr_intake import EhrIntake, NdjsonFolder, Taken
from osler.ingest.ehr.client_key import ALGORITHMS, make_key, public_jwks, read_key
from osler.ingest.ehr.fhir_client import FhirClient
from osler.ingest.ehr.record import RecordReader, types_of


def add_commands(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(help="Read records from an EHR, as a SMART on FHIR client.", no_args_is_help=True)
    group.command()(keys)
    group.command()(connect)
    app.add_typer(group, name="ehr")


def keys(
    ctx: typer.Context,
    algorithm: Annotated[str, typer.Option(help=f"Of a new key: {' or '.join(ALGORITHMS)}.")] = ALGORITHMS[0],
    file: Annotated[Path | None, typer.Option(help="Else keys/ehr-client.json in the data folder.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the public key (JWK set) to register with an EHR; the key pair is made when it is not there."""
    caller: Caller = ctx.obj
    path = file or key_file_of(caller.config(data_dir))
    with caller.stores(data_dir) as stores:
        if not path.exists():
            made = make_key(path, algorithm)
            detail = {"kid": str(made.kid), "algorithm": algorithm}
            stores.audit.record(AuditRecord("ehr-key-made", agent=caller.agent, detail=detail))
    shown = public_jwks(read_key(path))
    emit(shown, as_json, lambda console: console.print(json.dumps(shown, indent=2), markup=False))


def connect(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Of an [[ehr]] in the settings.")],
    patient: Annotated[
        list[str] | None,
        typer.Option(help="Whose record is read: logical id, or SYSTEM|VALUE of an identifier; may be given again."),
    ] = None,
    patients: Annotated[
        Path | None,
        typer.Option(help="File with one of them a line; - is standard input.", allow_dash=True, dir_okay=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Empty or new folder for the result, NDJSON by type.")] = None,
    method: Method = "safe-harbor",
    user: Annotated[
        bool, typer.Option("--user", help="In your name: sign in at the EHR with a browser on this machine.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Read records from an EHR and write them out de-identified; ends with 3 when a part was refused.

    Without a patient it says whether the EHR lets us in, and what may be read. With --user the patient is the one
    chosen at sign-in, unless others are given.
    """
    caller: Caller = ctx.obj
    config = caller.config(data_dir)
    ehr = ehr_of(config, name)
    wanted = _wanted(patient or [], patients)
    if out is None and (wanted or user):
        raise ConfigError("say with --out where the result goes")
    output = NdjsonFolder(out) if out is not None else None
    with (
        caller.stores(data_dir) as stores,
        connected(config, ehr, stores, caller.agent, show=_show if user else None) as connection,
    ):
        wanted = wanted or ([connection.patient] if connection.patient else [])
        if output is None or not wanted:
            if user:
                raise ConfigError("no patient was chosen at the EHR: give one with --patient")
            _say_access(name, connection, as_json)
            return
        client = FhirClient(connection.wire, connection.access, ehr.fhir_base)
        intake = EhrIntake(
            stores,
            ehr,
            RecordReader(client, connection.scope),
            FhirDeidentifier(VaultPseudonyms(stores.vault), text_for=engine_by(method), method=method),
            agent=connection.agent,
        )
        document = _take_all(intake, wanted, output)
    document = {"ehr": name, "method": method, "out": str(output.folder), **document}
    emit(document, as_json, lambda console: _draw(console, document))
    if document["failed"] or document["refused"]:
        raise typer.Exit(3 if document["patients"] else 1)


def _take_all(intake: EhrIntake, wanted: list[str], output: NdjsonFolder) -> dict[str, Any]:
    """Read one record after the other; one that fails does not end the rest, an EHR that is gone does."""
    started = time.monotonic()
    taken: list[Taken] = []
    failed: list[dict[str, Any]] = []
    whole = False
    try:
        with Progress(console=progress_console(), transient=True) as progress:
            task = progress.add_task("reading records", total=len(wanted))
            for number, one in enumerate(wanted, start=1):
                try:
                    taken.append(intake.take(one, output))
                except (StorageBusy, StorageFull, IntegrityError):
                    raise  # ours, not the EHR's: what is there is no whole result
                except OslerError as error:
                    failed.append({"number": number, "error": type(error).__name__, "reason": str(error)})
                    if isinstance(error, Unauthenticated | PeerUnavailable):
                        break
                progress.advance(task)
        whole = True
    finally:
        output.close(whole=whole)
    counts: Counter[str] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for each in taken:
        counts.update(each.counts)
        refused.update({(one.type, one.rule): one.count for one in each.refused})
    return {
        "asked": len(wanted),
        "patients": [each.document() for each in taken],
        "counts": dict(sorted(counts.items())),
        "refused": [{"type": kind, "rule": rule, "count": n} for (kind, rule), n in sorted(refused.items())],
        "failed": failed,
        "seconds": round(time.monotonic() - started, 3),
    }


def _wanted(given: list[str], file: Path | None) -> list[str]:
    lines: list[str] = []
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigError("the file of patients cannot be read") from None
        lines = text.splitlines()
    return list(dict.fromkeys(line.strip() for line in [*given, *lines] if line.strip()))


def _show(url: str) -> None:
    progress_console().print(f"Open this address in a browser on this machine and sign in:\n\n{url}\n", markup=False)


def _say_access(name: str, connection: Connection, as_json: bool) -> None:
    granted = connection.access.token().scope
    document = {
        "ehr": name,
        "token_endpoint": connection.endpoints.token,
        "scope": granted,
        "types": sorted(types_of(granted)),
        "capabilities": list(connection.endpoints.capabilities),
    }
    emit(document, as_json, lambda console: console.print(f"{name}: may read {', '.join(sorted(types_of(granted)))}"))


def _draw(console: Console, document: dict[str, Any]) -> None:
    read = len(document["patients"])
    console.print(f"{read} of {document['asked']} records read in {document['seconds']} s, to {document['out']}")
    for kind, count in document["counts"].items():
        console.print(f"  {count} {kind}")
    for one in document["refused"]:
        console.print(f"  refused: {one['count']} {one['type']} ({one['rule']})")
    for one in document["failed"]:
        console.print(f"  record {one['number']}: {one['reason']}", markup=False)
