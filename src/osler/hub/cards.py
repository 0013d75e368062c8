"""The cards of the models in use, asked of the models themselves, inside their sandbox.

A model is a stranger's code: the hub never imports one.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from osler.config import Config
from osler.infer.child import InferenceProcess, Start
from osler.infer.messages import Hello
from osler.infer.spool import Spool


def start_of(config: Config, model: str) -> Start:
    """Say how to start a model's process under this configuration."""
    return Start(
        model=model,
        threads=config.integer("worker.threads"),
        memory_mb=config.integer("worker.memory_mb"),
        age_policy=config.text("models.age_policy"),
        folders=tuple(config.items("models.folders")),
        protected=(str(config.data_dir),),
    )


def greet(config: Config, model: str) -> Hello:
    """Start a model once, and return what it says of itself and of its sandbox.

    Raises
    ------
    ConfigError, IntegrityError, PluginError
        If there is no such model, its weights are not those of its card, or it does not load.
    """
    with tempfile.TemporaryDirectory(prefix="osler-model-") as folder:
        spool = Spool(Path(folder))
        try:
            with InferenceProcess(start_of(config, model), spool) as process:
                return process.hello
        finally:
            spool.close()


def read_hellos(config: Config) -> Mapping[str, Hello]:
    """Greet every enabled model; by ``name@version``."""
    hellos = (greet(config, model) for model in config.items("models.enabled"))
    return {str(hello.card.model_version): hello for hello in hellos}
