"""``osler serve`` and ``osler worker``."""

import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated, TypeVar

import structlog
import typer

from osler.cli.caller import Caller, ConfigFile, DataDir
from osler.config import Config, Value
from osler.errors import IntegrityError
from osler.hub.hub import Hub
from osler.hub.logs import set_up_logs
from osler.hub.opening import ROLES, open_stores, open_worker_stores
from osler.hub.worker_host import WorkerHost

log = structlog.get_logger(__name__)

T = TypeVar("T", Hub, WorkerHost)


def add_commands(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(worker)


def serve(
    ctx: typer.Context,
    data_dir: DataDir = None,
    http: Annotated[str | None, typer.Option("--http", help="HOST:PORT of the HTTP side.")] = None,
    dimse: Annotated[str | None, typer.Option("--dimse", help="HOST:PORT of the DICOM side.")] = None,
    mllp: Annotated[
        str | None, typer.Option("--mllp", help="HOST:PORT of the HL7 v2 side; without it there is none.")
    ] = None,
    config: ConfigFile = None,
    roles: Annotated[str, typer.Option(help="Some of " + ",".join(ROLES) + ".")] = ",".join(ROLES),
) -> None:
    """Run the hub until it is told to stop (SIGTERM, Ctrl-C)."""
    given: dict[str, Value] = {}
    if http:
        given["http.address"] = http
    if dimse:
        given["dimse.address"] = dimse
    if mllp:
        given["mllp.address"] = mllp
    caller: Caller = ctx.obj
    run_hub(caller, caller.config(data_dir, config, given), tuple(r.strip() for r in roles.split(",") if r.strip()))


def worker(ctx: typer.Context, data_dir: DataDir = None, config: ConfigFile = None) -> None:
    """Run the models alone, on any host that reaches the hub's database, queue and blobs; no key is needed."""
    caller: Caller = ctx.obj
    run_hub(caller, caller.config(data_dir, config), ("worker",))


def run_hub(caller: Caller, config: Config, roles: tuple[str, ...]) -> None:
    """Run roles until the process is told to stop.

    Raises
    ------
    ConfigError
        If they cannot be begun.
    IntegrityError
        If a step found damage.
    """
    set_up_logs(sys.stderr, level=config.text("log.level"), form=config.text("log.format"))
    if roles == ("worker",):  # nothing that it does needs a key
        with open_worker_stores(config) as stores:
            _work(WorkerHost(stores, config), lambda host: log.info("ready", worker=host.owner, roles="worker"))
    else:
        with open_stores(config, caller.environ) as stores:
            _work(Hub(stores, config, roles=roles), lambda hub: _announce(hub, config))


def _work(one: T, announce: Callable[[T], None]) -> None:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    one.start()
    try:
        announce(one)
        while not stopping.wait(0.5) and not one.broken.is_set():
            pass
    finally:
        one.stop()
    if one.broken.is_set():
        raise IntegrityError("the hub stopped itself; the log says why, and osler doctor may say more")


def _announce(hub: Hub, config: Config) -> None:
    """Say where the hub listens, as a line of the log: whoever reads that by program reads this too."""
    where: dict[str, str] = {}
    if hub.scp is not None:
        host = config.text("dimse.address").rpartition(":")[0]
        where["dicom"] = f"{config.text('dimse.ae_title')}@{host}:{hub.scp.port}"
    if hub.mllp is not None:
        where["mllp"] = f"{config.text('mllp.address').rpartition(':')[0]}:{hub.mllp.port}"
    if hub.web is not None:
        where["http"] = hub.web.url
    log.info("ready", **where, roles=",".join(hub.roles))
