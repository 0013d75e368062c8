"""What every command shares: the caller's environment, common options, and how a result is printed."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from osler import config as configuration
from osler.audit import Agent
from osler.config import Config, Value
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

    @contextmanager
    def stores(self, data_dir: Path | None, file: Path | None = None) -> Iterator[Stores]:
        """Open the data folder."""
        with open_stores(self.config(data_dir, file), self.environ) as stores:
            yield stores

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
    """Print rows that have the same keys: as JSON, or as a table."""

    def draw(console: Console) -> None:
        table = Table(*(rows[0] if rows else ("nothing there",)), box=None, pad_edge=False)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        wide = max((len(str(v)) for row in rows for v in row.values()), default=0) * len(rows[0] if rows else ())
        console.print(table, width=max(console.width, min(wide, 400)) if not console.is_terminal else None)

    emit(rows, as_json, draw)
