"""``python -m osler.infer.process``: the process in which one model runs, started by a worker.

The boundary is drawn first, then NumPy, the model and all else is imported: libraries start threads as they load, and a
user namespace cannot be entered with threads.
"""

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from osler.infer import sandbox
from osler.infer.devices import Device
from osler.infer.wire import Channel


def main() -> int:
    """Answer one worker until it closes the pipe."""
    channel = _private_channel()
    start = channel.receive()
    if start is None:
        return 0
    sys.path.extend(start["folders"])
    artefact = start["artefact"]
    folders = [Path(artefact["folder"])] if artefact else []
    device = Device(start["device"])
    report = sandbox.apply(
        readable=[*folders, *_model_folders(artefact["runtime"] if artefact else start["model"])],
        spool=Path.cwd(),
        memory_mb=None if device.files else start["memory_mb"],  # a GPU's driver maps far more than it uses
        devices=device.files,
        protected=[Path(path) for path in start["protected"]],
    )
    from osler.infer.reading import serve

    return serve(channel, start, report)


def _private_channel() -> Channel:
    """Keep the pipes for ourselves: what a model prints or reads must not reach the conversation."""
    reading, writing = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return Channel(reading, writing)


def _model_folders(reference: str) -> Iterator[Path]:
    """Yield where the package of a model lies, which an editable install may keep outside Python's search path."""
    for entry in importlib.metadata.entry_points(group="osler.models", name=reference.partition("@")[0]):
        found = importlib.util.find_spec(entry.module.partition(".")[0])  # does not run the package
        if found is not None:
            yield from map(Path, found.submodule_search_locations or ())
            if found.origin:
                yield Path(found.origin)


if __name__ == "__main__":
    sys.exit(main())
