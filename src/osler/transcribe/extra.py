"""What the extra ``scribe`` brings; loaded when it is first needed."""

import importlib
from typing import Any

from osler.errors import ConfigError


def load(module: str) -> Any:
    """Import a module that comes with the extra ``scribe``.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise ConfigError(f"speech needs {name}, which is not installed here: pip install 'osler[scribe]'") from None
