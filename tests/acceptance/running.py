"""A hub as its user runs it: ``osler init``, ``osler serve``, in processes of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from joserfc import jwt
from joserfc.jwk import ECKey

from osler.testing import studies
from osler.testing.peers import Pager

PATIENCE_S = 60.0


def eventually(what: Callable[[], Any], words: str, *, within_s: float = PATIENCE_S) -> Any:
    """Return the first true answer, or fail when none comes in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"in {within_s:.0f} s: {words}"
        time.sleep(0.05)


@dataclass
class RunningHub:
    """One data folder, and the hub on it when it runs."""

    data_dir: Path
    dimse_port: int
    http_port: int
    process: subprocess.Popen[bytes] | None = None
    token: str = ""
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-384", parameters={"kid": "k1", "use": "sig"}))
    client_id: str = ""
    environ: dict[str, str] = field(default_factory=dict)
    """What its processes find in their environment besides."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log(self) -> str:
        return (self.data_dir.parent / "serve.log").read_text(encoding="utf-8")

    def osler(self, *args: str, stdin: str = "", ok: tuple[int, ...] = (0,)) -> str:
        """Run a command on the data folder and return its standard output."""
        done = subprocess.run(
            [sys.executable, "-m", "osler", *args, "--data-dir", str(self.data_dir)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            timeout=120,
        )
        assert done.returncode in ok, f"osler {' '.join(args)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def json(self, *args: str, ok: tuple[int, ...] = (0,)) -> Any:
        return json.loads(self.osler(*args, "--json", ok=ok))

    def start(self, *options: str) -> "RunningHub":
        """Start the hub, and wait until it is ready."""
        self.launch(*options)
        eventually(self.ready, f"the hub is ready\n{self.log}")
        return self

    def launch(self, *options: str) -> None:
        """Start the hub."""
        addresses = ("--http", f"127.0.0.1:{self.http_port}", "--dimse", f"127.0.0.1:{self.dimse_port}")
        self.process = self.spawn("serve", *addresses, *options)

    def spawn(self, *args: str) -> "subprocess.Popen[bytes]":
        """Start a command that does not end by itself."""
        with (self.data_dir.parent / "serve.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "osler", *args, "--data-dir", str(self.data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment() | self.environ,
                start_new_session=True,
            )

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """End it as an operator would; return its exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        code = self.process.wait(60)
        self.process = None
        return code

    def add_client(self, scope: str = "system/*.rs system/ImagingStudy.c") -> None:
        jwks = self.data_dir.parent / "client.jwks"
        jwks.write_text(json.dumps({"keys": [self.key.as_dict(private=False)]}), encoding="utf-8")
        self.client_id = self.json("client", "add", "acceptance", "--scope", scope, "--jwks", str(jwks))["client_id"]

    def authorize(self, scope: str = "system/*.rs system/ImagingStudy.c") -> dict[str, str]:
        """Return the header with a fresh token of a client with private_key_jwt."""
        if not self.client_id:
            self.add_client()
        now = int(time.time())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": f"{self.url}/oauth/token",
            "iat": now,
            "exp": now + 120,
            "jti": str(uuid.uuid4()),
        }
        assertion = jwt.encode({"alg": "ES384", "kid": "k1", "typ": "JWT"}, claims, self.key, algorithms=["ES384"])
        answer = httpx.post(
            f"{self.url}/oauth/token",
            data={
                "grant_type": "client_credentials",
                "scope": scope,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": assertion,
            },
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def fhir(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.url}/fhir/R4/{path}", params=parameters, headers=self.authorize(), timeout=20)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def settled(self, deliveries: int) -> list[dict[str, Any]]:
        """Wait until so many deliveries have arrived and none is under way; return them."""

        def look() -> list[dict[str, Any]] | None:
            rows = self.json("outbox", "list", "--limit", "100000")
            done = [r for r in rows if r["state"] == "delivered"]
            return rows if len(done) >= deliveries and len(done) == len(rows) else None

        found: list[dict[str, Any]] = eventually(look, f"{deliveries} deliveries\n{self.log}")
        return found


def environment() -> dict[str, str]:
    """The environment of the tests without settings of Osler, so that only the file counts."""
    return {k: v for k, v in os.environ.items() if not k.startswith("OSLER_")}


def destination_pager(pager: Pager, when: str = "critical") -> str:
    """The configuration of a pager."""
    return (
        f'[[destination]]\nname = "pager"\nkind = "webhook"\nurl = "{pager.url}"\n'
        f'secret = "a long secret of the pager"\nwhen = "{when}"\n'
    )


def destination_pacs(address: str, ae_title: str) -> str:
    """The configuration of a PACS."""
    return f'[[destination]]\nname = "pacs"\nkind = "dicom"\naddress = "{address}"\nae_title = "{ae_title}"\n'


def radiograph(folder: Path, name: str = "image.dcm", *, bright: bool = True, **elements: Any) -> Path:
    """Write an identified radiograph; a bright one is a critical finding to the fake model."""
    phantom = studies.chest_pixels(96, 80)
    pixels = (phantom // 2 + 2000 if bright else phantom // 4).astype(np.uint16)
    given = {
        "PatientName": "Doe^Jane",
        "PatientID": "MRN-0042",
        "IssuerOfPatientID": "HOSPITAL",
        "PatientBirthDate": "20200304",
        "PatientSex": "F",
        "PatientAge": "004Y",
        "PatientIdentityRemoved": None,
        "AccessionNumber": "ACC-77",
        "StudyDate": "20240511",
        "StudyTime": "101500",
        "StudyID": "S1",
        "SeriesNumber": 1,
        "ReferringPhysicianName": "House^Gregory",
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(studies.part10(studies.image("CR", pixels=pixels, **(given | elements))))
    return path
