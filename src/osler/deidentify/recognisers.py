"""The recognisers of identifiers that are installed beside Osler: the second door for plugins.

A package names a callable without arguments under the entry point group ``osler.recognisers``. What it returns is an
:class:`~osler.deidentify.text.Recogniser`: it may add spans, and can take none away.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from osler.deidentify.text import Recogniser
from osler.errors import ConfigError, OslerError
from osler.registry.boundary import call

GROUP: Final = "osler.recognisers"


@cache
def installed_recognisers() -> tuple[Recogniser, ...]:
    """Return one of each installed recogniser, by name; they are looked for once in a process.

    Raises
    ------
    ConfigError
        If one cannot be loaded; the message names it. To go on without it would leave in what it finds.
    """
    return tuple(_made(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _made(entry: EntryPoint) -> Recogniser:
    brought_by = f" (of package {entry.dist.name})" if entry.dist else ""
    try:
        made = call("it cannot be loaded", lambda: entry.load()())
    except OslerError as error:
        raise ConfigError(
            f"the recogniser {entry.name!r}{brought_by} is broken: {error}; repair or remove it"
        ) from None
    if not callable(getattr(made, "spans", None)):
        raise ConfigError(f"the recogniser {entry.name!r}{brought_by} is broken: what it makes has no method spans")
    recogniser: Recogniser = made
    return recogniser
