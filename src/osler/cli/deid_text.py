"""``osler deid text``: one text, or a file of many."""

import json
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from osler.cli.caller import Caller, DataDir, Json, emit, progress_console
from osler.deidentify.recognisers import installed_recognisers
from osler.deidentify.reversible import originals_of, with_reference
from osler.deidentify.text import Deidentifier
from osler.errors import ConfigError, DeidentificationRefused, Malformed
from osler.hub.opening import create_data_dir
from osler.vault.documents import Documents

LINES_A_TASK = 50
"""Lines that one process takes at a time."""


def text(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Text, UTF-8; else standard input. With --jsonl: IN.")] = None,
    out: Annotated[Path | None, typer.Argument(metavar="[OUT]", help="With --jsonl: file for the result.")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help='Lines {"id","text","context"?}, on all cores.')] = False,
    context: Annotated[Path | None, typer.Option(help="What is known of the patient: a FHIR Patient, JSON.")] = None,
    method: Annotated[str, typer.Option(help="safe-harbor, limited-data-set or surrogates.")] = "safe-harbor",
    reversible: Annotated[
        bool, typer.Option("--reversible", help="Keep what placeholders stand for in the vault, for osler deid reveal.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """De-identify clinical text; with --jsonl IN OUT many, in order, ending with 3 when some were refused.

    With --reversible the text ends with a line [DOCUMENT ...], which osler deid reveal needs. What the placeholders
    stand for is kept in the vault of the data folder, which is made when it is not there; else none is needed.
    """
    if reversible and (jsonl or method != "safe-harbor"):
        raise ConfigError(
            "--reversible is for one text by safe-harbor: surrogates and shifted dates cannot be put back"
        )
    known = _read_object(context) if context else None
    if jsonl:
        if file is None or out is None:
            raise typer.BadParameter("--jsonl takes two files, IN and OUT")
        done, refused = deidentify_lines(file, out, method=method, context=known)
        summary = {"deidentified": done, "refused": refused, "method": method}
        emit(summary, as_json, lambda console: console.print(f"{done} de-identified, {refused} refused, by {method}"))
        if refused:
            raise typer.Exit(3 if done else 1)
        return
    if out is not None:
        raise typer.BadParameter("a second file goes with --jsonl only")
    source = sys.stdin.buffer.read() if file is None or str(file) == "-" else file.read_bytes()
    engine = Deidentifier(method=method, context=known, recognisers=installed_recognisers())
    decoded = _decode(source)
    result = engine.deidentify(decoded)
    document, shown = result.to_json(), result.text
    if reversible:
        token = _keep(ctx.obj, data_dir, originals_of(decoded, result))
        document["document"], shown = token, with_reference(result.text, token)

    def draw(console: Console) -> None:
        typer.echo(shown, nl=not shown.endswith("\n"))

    emit(document, as_json, draw)


def _keep(caller: Caller, data_dir: Path | None, originals: dict[str, list[str]]) -> str:
    settings = caller.config(data_dir)
    create_data_dir(settings, caller.environ)
    with caller.stores(settings.data_dir) as stores:
        return Documents(stores.database, stores.keyring, stores.audit).keep(originals, agent=caller.agent)


def deidentify_lines(
    source: Path, target: Path, *, method: str, context: dict[str, Any] | None = None
) -> tuple[int, int]:
    """De-identify a file of JSON lines on all cores, in order, with a progress bar on standard error.

    A line that is refused becomes ``{"id", "refused"}`` with the rule, and nothing of its text.

    Returns
    -------
    done, refused : int

    Raises
    ------
    Malformed
        If a line is no object with a text. The message gives the line's number.
    """
    counts = {True: 0, False: 0}
    part = target.with_name(f"{target.name}.part")
    try:
        with (
            source.open("rb") as lines,
            part.open("w", encoding="utf-8") as output,
            ProcessPoolExecutor() as pool,
            Progress(console=progress_console(), transient=True) as progress,
        ):
            task = progress.add_task("de-identifying", total=source.stat().st_size)
            waiting: deque[tuple[Future[list[tuple[bool, str]]], int]] = deque()

            def write_first() -> None:
                future, size = waiting.popleft()
                for ok, line in future.result():
                    counts[ok] += 1
                    output.write(line + "\n")
                progress.advance(task, size)

            for batch in _batches(lines):
                size = sum(len(line) for _, line in batch)
                waiting.append((pool.submit(_batch, batch, method, context), size))
                if len(waiting) > 2 * (os.cpu_count() or 1):
                    write_first()
            while waiting:
                write_first()
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return counts[True], counts[False]


def _batches(lines: Iterable[bytes]) -> Iterator[list[tuple[int, bytes]]]:
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    while batch := list(islice(numbered, LINES_A_TASK)):
        yield batch


@cache
def _engine(method: str) -> Deidentifier:
    """Return a process's engine; word lists and the model are read once."""
    return Deidentifier(method=method, recognisers=installed_recognisers())


def _batch(batch: list[tuple[int, bytes]], method: str, context: dict[str, Any] | None) -> list[tuple[bool, str]]:
    engine = _engine(method).for_patient(context)
    return [_line(number, line, engine, context or {}) for number, line in batch]


def _line(number: int, line: bytes, engine: Deidentifier, context: dict[str, Any]) -> tuple[bool, str]:
    entry = _parse(line, f"line {number}")
    if not isinstance(entry.get("text"), str):
        raise Malformed(f"line {number} has no text")
    own = entry.get("context")
    if own is not None and not isinstance(own, dict):
        raise Malformed(f"line {number} has a context that is no object")
    if own:
        engine = engine.for_patient({**context, **own})
    try:
        result = engine.deidentify(entry["text"])
    except DeidentificationRefused as refusal:
        return False, json.dumps({"id": entry.get("id"), "refused": refusal.rule})
    return True, json.dumps({"id": entry.get("id"), **result.to_json()}, ensure_ascii=False)


def _read_object(path: Path) -> dict[str, Any]:
    return _parse(path.read_bytes(), "the context")


def _parse(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        raise Malformed(f"{what} is no JSON") from None
    if not isinstance(value, dict):
        raise Malformed(f"{what} is no JSON object")
    return value


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed("the text is not UTF-8") from None
