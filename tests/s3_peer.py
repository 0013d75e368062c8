"""A real S3 server (SeaweedFS) on loopback, for tests."""

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osler.errors import StorageBusy
from osler.storage.s3_blobs import S3Blobs, S3Settings

KEY_ID, SECRET = "AKOSLERTEST", "a secret of the tests alone"
_START_S = 60.0


@dataclass
class S3Server:
    """The server, its data in a folder."""

    program: str
    folder: Path
    ports: tuple[int, ...]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.ports[3]}"

    def start(self) -> "S3Server":
        """Start it, and wait until it keeps something."""
        identity = {
            "name": "osler",
            "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (self.folder / "s3.json").write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        (self.folder / "data").mkdir(exist_ok=True)
        names = ("-master.port", "-volume.port", "-filer.port", "-s3.port")
        with (self.folder / "weed.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(self.program, "-logtostderr=true", "server", f"-dir={self.folder / 'data'}"),
                    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.config={self.folder / 's3.json'}"),
                    *("-master.volumeSizeLimitMB=64", "-volume.max=20", "-filer.encryptVolumeData"),
                    *("-s3.port.iceberg=0", "-s3.port.lance=0"),  # their ports would be the same for every server
                    *(f"{name}={port}" for name, port in zip(names, self.ports, strict=True)),
                ],
                cwd=self.folder,
                env={**os.environ, "WEED_S3_SSE_KEY": "the key of the tests"},  # without one it encrypts nothing
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_S
        while True:
            assert self.process is not None
            log = (self.folder / "weed.log").read_text(errors="replace")[-2000:]
            assert self.process.poll() is None, log
            try:
                if self.bucket("probe").put(b"probe"):
                    return
            except StorageBusy:
                if time.monotonic() > deadline:
                    raise AssertionError(f"the S3 server does not start\n{log}") from None
            time.sleep(0.1)

    def bucket(self, zone: str, **given: Any) -> S3Blobs:
        """Open a store of blobs in a bucket there."""
        sealer = given.pop("sealer", None)
        return S3Blobs(
            S3Settings(
                **{
                    "url": "s3://osler/site",
                    "endpoint": self.endpoint,
                    "key_id": KEY_ID,
                    "secret": SECRET,
                    "timeout_s": 20.0,
                    **given,
                }
            ),
            zone,
            sealer=sealer,
        )

    def settings(self) -> str:
        """Return the lines of ``[storage]`` for a hub."""
        return (
            f'blobs = "s3://osler/hub"\ns3_endpoint = "{self.endpoint}"\ns3_key_id = "{KEY_ID}"\n'
            f's3_secret = "{SECRET}"\ns3_timeout_s = 5.0\n'
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def low_ports(count: int) -> tuple[int, ...]:
    """Find free ports whose gRPC twins (ten thousand above) are free too."""
    found: list[int] = []
    candidate = 20000 + (time.monotonic_ns() // 1000) % 9000
    while len(found) < count:
        candidate += 1
        if all(_free(port) for port in (candidate, candidate + 10000)):
            found.append(candidate)
    return tuple(found)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
