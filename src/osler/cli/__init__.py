"""The command line: one module a group of commands, errors translated once, here."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import typer
from typer.exceptions import TyperException

from osler.cli.caller import Caller
from osler.errors import OslerError
from osler.hub.logs import set_up_logs

MODULES: Final[Mapping[str, str]] = {
    "demo": "demo",
    "init": "setup",
    "doctor": "setup",
    "backup": "backup",
    "restore": "backup",
    "serve": "serve",
    "worker": "serve",
    "workers": "workers",
    "edge": "edge",
    "send": "send",
    "analyze": "analyze",
    "deid": "deid",
    "scribe": "scribe",
    "models": "models",
    "user": "user",
    "access": "glass",
    "client": "client",
    "ehr": "ehr",
    "audit": "audit",
    "top": "top",
    "queue": "queue",
    "outbox": "queue",
    "quarantine": "quarantine",
    "alerts": "alerts",
    "keys": "keys",
    "vault": "keys",
    "config": "configuration",
}
"""Which module brings a command. Only that one is imported: the others would cost every command a second."""


def build(command: str | None = None) -> typer.Typer:
    """Make the application with one command, or with all."""
    app = typer.Typer(
        name="osler",
        help="On-premise clinical AI hub: DICOM in, de-identified inference, results back to chart, PACS and people.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)  # keeps a group of one command a group
    wanted = MODULES.get(command or "")
    for module in [wanted] if wanted else dict.fromkeys(MODULES.values()):
        importlib.import_module(f"osler.cli.{module}").add_commands(app)
    return app


def main(args: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code: 0 ok, 1 failed, 2 usage or configuration, 3 partly done."""
    set_up_logs(sys.stderr)
    app = build(args[0] if args else None)
    try:
        result = app(args=list(args), standalone_mode=False, obj=Caller(environ), prog_name="osler")
    except TyperException as error:
        error.show()  # type: ignore[attr-defined]
        return int(getattr(error, "exit_code", 2))
    except (typer.Abort, KeyboardInterrupt):
        print("osler: interrupted", file=sys.stderr)
        return 1
    except OslerError as error:
        print(f"osler: {error}", file=sys.stderr)
        return error.exit_code
    return result if isinstance(result, int) else 0
