"""``osler deid fhir`` and ``osler deid hl7``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from osler.cli.caller import Caller, DataDir, Json, progress_console
from osler.deidentify.engine_text import engine_by
from osler.deidentify.fhir import FhirDeidentifier
from osler.deidentify.fhir.ndjson import RefusedLine, deidentify_lines, people_of
from osler.deidentify.hl7v2 import Hl7v2Deidentifier
from osler.deidentify.pseudonyms import VaultPseudonyms
from osler.deidentify.text.profiles import METHODS
from osler.errors import DeidentificationRefused, InputRejected, Malformed
from osler.hub.opening import create_data_dir
from osler.standards import hl7v2
from osler.standards.fhir import Resource, dumps, loads

Source = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="Else standard input.", exists=True, dir_okay=False)
]


def _method(name: str) -> str:
    if name not in METHODS:
        raise typer.BadParameter(f"there is {', '.join(METHODS)}")
    return name


Method = Annotated[
    str, typer.Option(help="safe-harbor, limited-data-set or surrogates; each output names it.", callback=_method)
]

People = Annotated[
    Path | None,
    typer.Option(
        help="NDJSON of the Patients and others that the resources refer to: their names are looked for in the text,"
        " and dates move by the number of the Patient.",
        exists=True,
        dir_okay=False,
    ),
]


def fhir(
    ctx: typer.Context,
    source: Source = None,
    method: Method = "safe-harbor",
    people: People = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """De-identify a FHIR R4 resource or bundle, or NDJSON; ends with 3 when some lines were refused.

    A resource comes out as a resource. NDJSON comes out as NDJSON, or with --json as one document with the resources
    and the lines that were refused. Give the file of Patients with --people for a file that only refers to them.
    """
    content = _read(source)
    single = _single(content)
    known = people.read_bytes().splitlines() if people else []
    with _pseudonyms(ctx.obj, data_dir) as pseudonyms:
        deidentifier = FhirDeidentifier(pseudonyms, text_for=engine_by(method), method=method)
        if single is not None:
            typer.echo(dumps(deidentifier.resource(single, *people_of(content, known))))
            return
        made: list[Resource] = []
        refused: list[dict[str, Any]] = []
        for one in deidentify_lines(content.splitlines(), deidentifier, known):
            if isinstance(one, RefusedLine):
                refused.append({"line": one.line, "rule": one.rule, "reason": one.reason})
            elif as_json:
                made.append(one)
            else:
                typer.echo(dumps(one))
    if as_json:
        typer.echo(dumps({"method": method, "resources": made, "refused": refused}))
    _finish(refused, len(content.splitlines()))


def hl7(
    ctx: typer.Context,
    source: Source = None,
    method: Method = "safe-harbor",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """De-identify HL7 v2 messages; ends with 3 when some were refused.

    Messages come out as they came, one after the other; with --json as one document with their text.
    """
    messages = hl7v2.split_messages(_read(source))
    if not messages:
        raise Malformed("there is no HL7 v2 message")
    made: list[str] = []
    refused: list[dict[str, Any]] = []
    with _pseudonyms(ctx.obj, data_dir) as pseudonyms:
        deidentifier = Hl7v2Deidentifier(pseudonyms, text_for=engine_by(method), method=method)
        for number, content in enumerate(messages, start=1):
            try:
                safe = deidentifier.message(content)
            except InputRejected as rejected:
                rule = rejected.rule if isinstance(rejected, DeidentificationRefused) else "malformed"
                refused.append({"message": number, "rule": rule, "reason": str(rejected)})
                continue
            if as_json:
                made.append(safe.decode(hl7v2.parse(safe).codec))
            else:
                sys.stdout.buffer.write(safe)
    sys.stdout.flush()
    if as_json:
        typer.echo(dumps({"method": method, "messages": made, "refused": refused}))
    _finish(refused, len(messages))


def add_commands(group: typer.Typer) -> None:
    """Add both to the group ``deid``."""
    commands: tuple[Callable[..., None], ...] = (fhir, hl7)
    for command in commands:
        group.command()(command)


@contextmanager
def _pseudonyms(caller: Caller, data_dir: Path | None) -> Iterator[VaultPseudonyms]:
    settings = caller.config(data_dir)
    create_data_dir(settings, caller.environ)
    with caller.stores(settings.data_dir) as stores:
        yield VaultPseudonyms(stores.vault)


def _read(source: Path | None) -> bytes:
    return source.read_bytes() if source else sys.stdin.buffer.read()


def _single(content: bytes) -> Resource | None:
    """Return the resource when the content is one, None when it is one a line."""
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith(b"}") and lines[1].lstrip().startswith(b"{"):
        return None
    return loads(content)


def _finish(refused: list[dict[str, Any]], count: int) -> None:
    console = progress_console()
    for one in refused:
        console.print(" ".join(f"{key} {value}" for key, value in one.items()))
    if refused:
        raise typer.Exit(3 if len(refused) < count else 1)
