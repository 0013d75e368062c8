"""What must be well for the hub to take work: the answer of ``/health/ready``."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import text

from osler.errors import PeerUnavailable, PluginError, StorageFull

if TYPE_CHECKING:
    from osler.hub.hub import Hub


def ready_checks(hub: "Hub") -> Mapping[str, Callable[[], None]]:
    """Return the checks of a running hub; each raises an OslerError when something is not well."""
    checks: dict[str, Callable[[], None]] = {
        "database": lambda: _database(hub),
        "blobs": lambda: _blobs(hub),
        "audit": lambda: _audit(hub),
    }
    if "dimse" in hub.roles:
        checks["dimse"] = lambda: _dimse(hub)
    if hub.pool.workers():
        checks["models"] = lambda: _models(hub)
    return checks


def _database(hub: "Hub") -> None:
    with hub.stores.database.read() as connection:
        connection.execute(text("SELECT 1"))


def _blobs(hub: "Hub") -> None:
    for store in (hub.stores.identified, hub.stores.deidentified):
        store.check_room()


def _audit(hub: "Hub") -> None:
    if hub.broken.is_set():
        raise StorageFull("the hub is stopping")


def _dimse(hub: "Hub") -> None:
    if hub.scp is None:
        raise PeerUnavailable("the DICOM node is not started")


def _models(hub: "Hub") -> None:
    for status in hub.pool.status():
        if not status.ready:
            raise PluginError(f"model {status.model}: {status.words}")
