"""What every command shares: the caller's environment, common options, and how a result is printed."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from osler import config as configuration
from osler.audit import Agent
from osler.config import Config, Value
from osler.errors import OslerError
from osler.hub.opening import open_stores
from osler.stores import Stores

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Data folder; else OSLER_DATA_DIR, else under XDG_DATA_HOME.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration file; else osler.toml in the data folder.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, nothing else.")]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs a command, and in what environment."""

    environ: Mapping[str, str]

    def config(
        self, data_dir: Path | None, file: Path | None = None, given: Mapping[str, Value] | None = None
    ) -> Config:
        """Load the configuration that is in force."""
        return configuration.load(self.environ, data_dir=data_dir, file=file, given=given)

    @contextlib.contextmanager
    def stores(self, data_dir: Path | None, file: Path | None = None) -> Iterator[Stores]:
        """Open the data folder; what the command put on record stands in a signed checkpoint when it ends."""
        with open_stores(self.config(data_dir, file), self.environ) as stores:
            yield stores
            with contextlib.suppress(OslerError):  # osler audit verify says what is wrong with it
                stores.audit.checkpoint()

    @property
    def agent(self) -> Agent:
        """The person at the terminal, for the audit."""
        return Agent(self.environ.get("SUDO_USER") or self.environ.get("USER") or "operator", "person", "local")


def progress_console() -> Console:
    """Return the console for progress and notes: standard error."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def emit(document: Any, as_json: bool, show: Callable[[Console], None]) -> None:
    """Print a result: one JSON document, or what ``show`` draws for a person."""
    if as_json:
        typer.echo(json.dumps(document, ensure_ascii=False, default=str))
    else:
        show(Console(highlight=False, soft_wrap=True))


def emit_table(rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Print rows that have the same keys: as JSON, or as columns, of which nothing is cut off."""

    def draw(console: Console) -> None:
        if not rows:
            console.print("nothing there")
            return
        lines = [[*rows[0]], *(["" if value is None else str(value) for value in row.values()] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            console.print("  ".join(map(str.ljust, line, widths)).rstrip(), markup=False)

    emit(rows, as_json, draw)
