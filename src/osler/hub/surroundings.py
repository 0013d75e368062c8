"""What the ledger does not know of itself: how far the checkpoints reach, and the room on the disk."""

import shutil
import time
from collections.abc import Callable

from osler.config import Config
from osler.metrics import Figures
from osler.stores import Stores


def surroundings(stores: Stores, config: Config, *, clock: Callable[[], float] = time.time) -> Figures:
    """Return the values of the gauges for audit lag and disk.

    Parameters
    ----------
    stores : Stores
    config : Config
    clock : callable
        Seconds since the epoch, UTC.
    """
    entries, reached_at = stores.audit.lag()
    disk = shutil.disk_usage(config.data_dir)
    return Figures(
        {
            "osler_audit_lag_entries": {(): float(entries)},
            "osler_audit_lag_seconds": {(): max(0.0, clock() - reached_at) if entries and reached_at else 0.0},
            "osler_disk_free_bytes": {(): float(disk.free)},
            "osler_disk_size_bytes": {(): float(disk.total)},
        }
    )
