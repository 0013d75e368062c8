"""Whether the process is up, and whether it can work."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from osler.errors import OslerError

_NO_STORE: Final = {"cache-control": "no-store"}


class Health:
    """Endpoints for whoever watches the hub.

    Parameters
    ----------
    checks : mapping of str to callable
        Each raises an OslerError when what it looks at is not well.
    """

    def __init__(self, checks: Mapping[str, Callable[[], None]]) -> None:
        self._checks = dict(checks)

    def live(self, _request: Request) -> Response:
        """Answer ``GET /health/live``: the process answers."""
        return _answer({"status": "live"}, 200)

    def ready(self, _request: Request) -> Response:
        """Answer ``GET /health/ready``: 200 when each check is well, else 503; the JSON says which is not."""
        found = {name: self._look(check) for name, check in self._checks.items()}
        well = all(words == "ok" for words in found.values())
        return _answer({"status": "ready" if well else "not ready", "checks": found}, 200 if well else 503)

    def _look(self, check: Callable[[], None]) -> str:
        try:
            check()
        except OslerError as error:
            return str(error) or type(error).__name__
        return "ok"


def _answer(document: Mapping[str, object], status: int) -> Response:
    return Response(json.dumps(document), status, _NO_STORE, "application/json")
