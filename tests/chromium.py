"""A Chromium without a window that a test tells what to do."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any


class Chromium:
    """A browser of its own; ``close`` it in the end.

    Parameters
    ----------
    node, chromium : str
        The programs.
    peers : Path
        Folder of the npm packages.
    """

    def __init__(self, node: str, chromium: str, peers: Path) -> None:
        wanted = json.dumps({"chromium": chromium})
        self._process = subprocess.Popen(
            [node, "browser_shell.mjs", wanted],
            cwd=peers,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, **options: Any) -> None:
        """Begin anew, without cookies; options of Playwright's browser context are ``viewport``, ``colorScheme``..."""
        self.do("await held.open(options)", options=options)

    def do(self, code: str, **given: Any) -> Any:
        """Run JavaScript beside the page (``page``, ``context``, ``said``) with some values, and return its answer."""
        names = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in given.items())
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": names + code}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the browser has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def text(self, selector: str) -> str:
        """Return what is read at the first place that a selector names."""
        found: str = self.do("return await page.locator(selector).first().innerText()", selector=selector)
        return found

    def texts(self, selector: str) -> list[str]:
        """Return what is read at all places that a selector names."""
        found: list[str] = self.do("return await page.locator(selector).allInnerTexts()", selector=selector)
        return found

    def close(self) -> None:
        """End the browser."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
