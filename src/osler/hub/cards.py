"""The cards of the models in use, asked of the models themselves, inside their sandbox.

A model is a stranger's code: the hub never imports one.
"""

import tempfile
from pathlib import Path

from osler.config import Config
from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Hello
from osler.infer.spool import Spool
from osler.registry.opening import open_pins
from osler.registry.pinning import Pins
from osler.registry.port import Pinned


def start_of(config: Config, model: str, *, pins: Pins | None = None) -> Start:
    """Say how to start a model's process under this configuration.

    Parameters
    ----------
    config : Config
    model : str
        ``NAME``, ``NAME@VERSION`` or ``NAME@ALIAS``. An artefact of the registry comes before an installed package.
    pins : Pins, optional
        An open cache; else the configured one.

    Raises
    ------
    IntegrityError
        If the artefact is not whole, or not signed by a trusted key.
    PeerUnavailable
        If the registry does not answer, and the model was never brought here.
    """
    pinned = (pins or open_pins(config)).resolve(model)
    return start_pinned(config, model if pinned is None else str(pinned), pinned)


def start_pinned(config: Config, model: str, pinned: Pinned | None) -> Start:
    """Say how to start a model whose files are at hand; None for an installed package."""
    return Start(
        model=model,
        threads=config.integer("worker.threads"),
        memory_mb=config.integer("worker.memory_mb"),
        age_policy=config.text("models.age_policy"),
        folders=tuple(config.items("models.folders")),
        protected=(str(config.data_dir),),
        artefact=pinned,
    )


def greet(start: Start) -> Hello:
    """Start a model once, and return what it says of itself and of its sandbox.

    Raises
    ------
    ConfigError, IntegrityError, PluginError
        If there is no such model, its weights are not those of its card, or it does not load.
    """
    with tempfile.TemporaryDirectory(prefix="osler-model-") as folder:
        spool = Spool(Path(folder))
        try:
            with InferenceProcess(start, spool) as process:
                return process.hello
        finally:
            spool.close()
