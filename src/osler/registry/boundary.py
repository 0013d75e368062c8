"""The one place where any exception is caught: a plugin may raise what it likes."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from osler.errors import OslerError, PluginError

T = TypeVar("T")


def call(step: str, function: Callable[[], T]) -> T:
    """Call into a plugin.

    Raises
    ------
    OslerError
        As the plugin raised it.
    PluginError
        For any other exception. It names the step, the exception's type and its line, never the exception's words,
        which may quote the data.
    """
    try:
        return function()
    except OslerError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        raise PluginError(f"{step}: {type(error).__name__} at {place}") from None
