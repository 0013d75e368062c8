"""Structured logs: one line an event, no patient value in any."""

import logging
from typing import Any, TextIO

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def set_up_logs(stream: TextIO, *, level: str = "warning", form: str = "auto") -> None:
    """Send the logs of this process to a stream.

    Libraries log what they handle, so theirs are dropped below the level of an error, and then only their names pass.

    Parameters
    ----------
    stream : text file
        Standard error: standard output is for results.
    level, form : str
        As the settings ``log.level`` and ``log.format``.
    """
    as_text = form == "text" or (form == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty()) if as_text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)  # pydicom's warnings quote the values that they warn of
    root = logging.getLogger()
    root.handlers[:] = [_NameOnly(stream)]
    root.setLevel(logging.ERROR)
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)  # what it would say, a delivery's reason says better


class _NameOnly(logging.Handler):
    """Says that a library logged something, and not what: its words may hold anything."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(logging.ERROR)
        self._log = structlog.get_logger("library")

    def emit(self, record: logging.LogRecord) -> None:
        """Note the place."""
        kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        self._log.error("a library logged an error", library=record.name, line=record.lineno, error=kind)
