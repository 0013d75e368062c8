"""Apps of npm's ``fhirclient`` in a real browser launch here, read, and refresh their token."""

import contextlib
import http.server
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from osler.api.smart.context import LaunchContext
from osler.api.smart.launches import launch_url
from osler.testing.peers import free_ports
from smart_flow import PASSWORD, RESOURCES, SmartSite, observation

SCOPE = "openid fhirUser offline_access patient/Patient.rs patient/Observation.rs user/Practitioner.r"
STAYED = (
    observation("o4", "P1", effectiveDateTime="2026-01-02"),
    {
        "resourceType": "Encounter",
        "id": "E1",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/P1"},
    },
    {"resourceType": "Practitioner", "id": "ann", "name": [{"family": "Ash"}]},
)


class AppServer:
    """Serves the app's files, from an origin of its own."""

    def __init__(self, files: dict[str, Path], port: int) -> None:
        self.settings: dict[str, str] = {}
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.partition("?")[0].lstrip("/")
                if name == "settings.json":
                    content = json.dumps(app.settings).encode()
                else:
                    content = files[name].read_bytes() if name in files else b""
                self.send_response(200 if content else 404)
                kind = {"html": "text/html", "js": "text/javascript"}.get(name.rpartition(".")[2], "application/json")
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.origin = f"http://127.0.0.1:{port}"
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def peers(need_peer: Callable[[str], Path]) -> Path:
    need_peer("playwright-core")
    return need_peer("fhirclient")


@pytest.fixture(scope="module")
def app_server(peers: Path) -> Iterator[AppServer]:
    files = {path.name: path for path in (peers / "smart_app").iterdir()}
    files["fhir-client.js"] = peers / "node_modules/fhirclient/build/fhir-client.js"
    server = AppServer(files, free_ports(1)[0])
    yield server
    server.stop()


@contextlib.contextmanager
def site_with(url: str, folder: Path, **changes: Any) -> Iterator[SmartSite]:
    address = f"127.0.0.1:{free_ports(1)[0]}"
    site = SmartSite(
        url, folder, resources=(*RESOURCES, *STAYED), base_url=f"http://{address}", address=address, **changes
    )
    site.clock.now = time.time()
    try:
        yield site
    finally:
        site.stop()


def run(peers: Path, need: Callable[..., str], url: str, patient: str | None) -> dict[str, Any]:
    wanted = {"chromium": need("chromium"), "url": url, "name": "ann", "password": PASSWORD, "patient": patient}
    done = subprocess.run(
        [need("node"), "smart_browser.mjs", json.dumps(wanted)], cwd=peers, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_standalone_launch(
    peers: Path, need: Callable[..., str], app_server: AppServer, new_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    with site_with(new_sqlite(tmp_path / "osler.db"), tmp_path, cors_origins=(app_server.origin,)) as site:
        scope = f"launch/patient {SCOPE}"
        app = site.app(scope, redirect_uris=(f"{app_server.origin}/index.html",))
        app_server.settings = {
            "clientId": app.client_id,
            "scope": scope,
            "iss": site.services.fhir_base,
            "redirectUri": "index.html",
        }

        found = run(peers, need, f"{app_server.origin}/launch.html", patient="P1")

        assert "error" not in found, found
        assert (found["patient"], found["family"], found["again"]) == ("P1", "Amber", "P1")
        assert sorted(found["observations"]) == ["o1", "o3", "o4"]
        assert found["user"].endswith("Practitioner/ann")
        assert found["userType"] == "Practitioner"
        assert found["outside"] == 404
        assert found["refreshed"]
        assert set(found["scope"].split()) == set(scope.split())
        assert [title.partition(" · ")[0] for title in found["titles"]] == [
            "Sign in",
            "Choose a patient",
            "Allow Growth chart?",
        ]
        assert found["address"].startswith(f"{app_server.origin}/index.html")
        events = {entry.event for entry in site.audit.search(limit=100)}
        assert {"signed-in", "access-granted", "token-issued"} <= events


def test_ehr_launch(
    peers: Path, need: Callable[..., str], app_server: AppServer, new_sqlite: Callable[[Path], str], tmp_path: Path
) -> None:
    with site_with(new_sqlite(tmp_path / "osler.db"), tmp_path) as site:
        scope = f"launch {SCOPE}"
        # The origin of a registered app may call without being in the settings.
        app = site.app(scope, redirect_uris=(f"{app_server.origin}/index.html",))
        app_server.settings = {"clientId": app.client_id, "scope": scope, "redirectUri": "index.html"}
        handle = site.launch(app, LaunchContext(patient="P1", encounter="E1"), person="ann")
        url = launch_url(f"{app_server.origin}/launch.html", fhir_base=site.services.fhir_base, handle=handle)

        found = run(peers, need, url, patient=None)

        assert "error" not in found, found
        assert (found["patient"], found["encounter"]) == ("P1", "E1")
        assert sorted(found["observations"]) == ["o1", "o3", "o4"]
        assert found["outside"] == 404
        assert found["refreshed"]
        assert len(found["titles"]) == 2, "nobody is asked for the patient"
