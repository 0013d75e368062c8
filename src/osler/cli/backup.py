"""``osler backup`` and ``osler restore``."""

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from osler.audit import read_signing_key
from osler.cli.caller import Caller, ConfigFile, DataDir, Json, emit, progress_console
from osler.errors import ConfigError
from osler.hub.backup import Restored, back_up, check, restore
from osler.hub.backup.sealed_keys import LEAST_PASSPHRASE, open_keys
from osler.hub.backup.taking import Taken, Wanted
from osler.hub.opening import signing_key_file

_EVERY_S = 2.0

PassphraseStdin = Annotated[
    bool, typer.Option("--passphrase-stdin", help="Read the passphrase of the keys from standard input.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup")(backup)
    app.command("restore")(bring_back)


def backup(
    ctx: typer.Context,
    place: Annotated[Path, typer.Argument(metavar="DIR|FILE.tar", help="A new folder, or a new tar file.")],
    blobs: Annotated[bool, typer.Option("--blobs/--no-blobs", help="Whether to copy blobs too.")] = True,
    keys_to: Annotated[
        Path | None, typer.Option("--keys-to", help="Also write the keys, sealed, to this file: keep it elsewhere.")
    ] = None,
    passphrase_stdin: PassphraseStdin = False,
    data_dir: DataDir = None,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """Copy the hub's data, which may run meanwhile: database, blobs, checkpoints, models, configuration; no keys."""
    caller: Caller = ctx.obj
    passphrase = _passphrase(passphrase_stdin, anew=True) if keys_to is not None else ""
    with caller.stores(data_dir, config) as stores:
        taken = back_up(
            caller.config(data_dir, config),
            stores,
            Wanted(place=place, blobs=blobs, keys=keys_to, passphrase=passphrase),
            agent=caller.agent,
            environ=caller.environ,
            progress=_Progress(),
        )
    emit(asdict(taken), as_json, lambda console: _show_taken(console, taken))


def bring_back(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="DIR|FILE.tar", help="The backup.")],
    only_check: Annotated[bool, typer.Option("--check", help="Only compare the hashes; put nothing back.")] = False,
    keys: Annotated[Path | None, typer.Option("--keys", help="File of sealed keys, from --keys-to.")] = None,
    passphrase_stdin: PassphraseStdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put a backup into a new data folder and an empty database, and verify it; the hub must not run on it yet."""
    caller: Caller = ctx.obj
    target = caller.config(data_dir).data_dir
    if only_check:
        own = signing_key_file(target)
        known = read_signing_key(own).public_key() if own.is_file() else None
        manifest, size = check(source, known=known, progress=_Progress())
        document = {**asdict(manifest.about), "files": manifest.files, "size": size, "trusted": known is not None}
        emit(document, as_json, lambda console: console.print(f"{manifest.files} files, {size} bytes: all as made"))
        return
    opened = open_keys(keys, _passphrase(passphrase_stdin, anew=False)) if keys is not None else {}
    done = restore(source, target, opened, agent=caller.agent, environ=caller.environ, progress=_Progress())
    emit({**asdict(done), "ok": done.ok}, as_json, lambda console: _show_restored(console, done))
    if not done.ok:
        sys.stdout.flush()
        raise typer.Exit(1)


def _passphrase(from_stdin: bool, *, anew: bool) -> str:
    if from_stdin:
        given = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        given = str(typer.prompt("passphrase of the keys", hide_input=True, confirmation_prompt=anew, err=True))
    else:
        raise ConfigError("the keys need a passphrase: --passphrase-stdin")
    if anew and len(given) < LEAST_PASSPHRASE:
        raise ConfigError(f"the passphrase must have at least {LEAST_PASSPHRASE} characters")
    return given


class _Progress:
    """Prints now and then how far a step is."""

    def __init__(self) -> None:
        self._console = progress_console()
        self._next = time.monotonic() + _EVERY_S

    def __call__(self, step: str, done: int, of: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_S
        self._console.print(f"{step}: {done} of {of}" if of else f"{step}: {done}", markup=False)


def _show_taken(console: Console, taken: Taken) -> None:
    console.print(f"{taken.place}: {taken.files} files, {taken.size} bytes, {taken.blobs} of them blobs", markup=False)
    console.print(f"signed by {taken.public_key}: note it elsewhere, to know the backup again")
    if taken.keys is not None:
        console.print(f"keys, sealed: {taken.keys}; keep them and the passphrase apart from the backup", markup=False)
    else:
        console.print("without the keys: it opens only with those of this data folder (--keys-to copies them)")


def _show_restored(console: Console, done: Restored) -> None:
    console.print(f"{done.files} files, {done.size} bytes, {done.blobs} blobs: all as backed up")
    holds = "holds" if not done.problems else f"has {len(done.problems)} problems: {done.problems[0]}"
    console.print(f"audit log: {done.entries} entries, {holds}", markup=False)
    if done.missing:
        console.print(f"{done.missing} blobs that the database names are not in the backup")
    if not done.trusted:
        console.print(f"signed by {done.public_key}, which nobody vouched for: compare it with your note")
    if not done.opens:
        console.print(f"before it can be served: {done.words}", markup=False)
