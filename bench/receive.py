"""C-STORE receive: the hub against a bare pynetdicom SCP that writes each instance to a file and fsyncs it.

Both run in processes of their own and get the same instances over the same sender (dcmtk's storescu, or `osler send`
where that is missing), in turn, in the same run. The hub is `osler serve --roles dimse` in a fresh data folder: it
seals the blob, fsyncs it, commits the ledger and only then answers.

    python bench/receive.py [--rounds 5] [--associations 1] [--ct 100] [--cr 12] [--dir DIR] [--json]
"""

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from osler.standards.dicom import part10
from osler.standards.dicom_stream import EXPLICIT_LITTLE_ENDIAN

EXPLICIT = "1.2.840.10008.1.2.1"
KINDS = {  # SOP class, modality, rows and columns of 16 bits
    "CT 0.5 MB": ("1.2.840.10008.5.1.4.1.1.2", "CT", 512),
    "CR 8 MB": ("1.2.840.10008.5.1.4.1.1.1", "CR", 2048),
}


def write_instances(folder: Path, kind: str, count: int, series: int) -> None:
    """Write instances of one new series."""
    sop_class_uid, modality, size = KINDS[kind]
    pixels = np.random.default_rng(series).integers(0, 4096, (size, size), np.uint16).tobytes()
    folder.mkdir()
    for number in range(count):
        uid = f"1.2.840.99999.{series}.{number}"
        elements = [
            (0x00080016, "UI", sop_class_uid.encode()),
            (0x00080018, "UI", uid.encode()),
            (0x00080060, "CS", modality.encode()),
            (0x00100020, "LO", b"BENCH"),
            (0x0020000D, "UI", f"1.2.840.99999.{series}".encode()),
            (0x0020000E, "UI", f"1.2.840.99999.{series}.1".encode()),
            (0x00280010, "US", size.to_bytes(2, "little")),
            (0x00280011, "US", size.to_bytes(2, "little")),
            (0x7FE00010, "OW", pixels),
        ]
        data_set = b"".join(EXPLICIT_LITTLE_ENDIAN.element(*element) for element in elements)
        file = part10(data_set, sop_class_uid=sop_class_uid, sop_instance_uid=uid, transfer_syntax_uid=EXPLICIT)
        (folder / f"{number:04}.dcm").write_bytes(file)


def serve_bare(port: int, folder: Path) -> None:
    """Run the SCP that one writes with pynetdicom in twenty lines, with its default settings."""
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
    from pynetdicom.events import Event

    def store(event: Event) -> int:
        with (folder / event.request.AffectedSOPInstanceUID).open("wb") as file:
            file.write(event.encoded_dataset())
            file.flush()
            os.fsync(file.fileno())
        return 0

    node = AE(ae_title="OSLER")
    for context in AllStoragePresentationContexts:
        node.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    node.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])


@contextmanager
def running(command: list[str], port: int, environ: dict[str, str]) -> Iterator[int]:
    """Start a server, wait until it listens, and stop it at the end."""
    process = subprocess.Popen(command, env=os.environ | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"did not start: {' '.join(command)}") from None
                time.sleep(0.1)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def send(folders: list[Path], port: int) -> float:
    """Send each folder over an association of its own, all at once, and return the time in seconds."""
    osler = [sys.executable, "-m", "osler", "send", "--to", f"127.0.0.1:{port}"]
    storescu = shutil.which("storescu")
    os.sync()  # what the bench itself wrote shall not be flushed on the account of whom it measures
    start = time.perf_counter()
    senders = [
        subprocess.Popen(
            [storescu, "-xe", "-aec", "OSLER", "127.0.0.1", str(port), "+sd", folder] if storescu else [*osler, folder],
            stdout=subprocess.DEVNULL,
        )
        for folder in folders
    ]
    codes = [sender.wait() for sender in senders]
    if any(codes):
        raise SystemExit("an instance was not taken")
    return time.perf_counter() - start


def measure(base: Path, ports: dict[str, int], options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """Return images per second, by kind and server, one figure a round; the first round warms up."""
    rates: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in ports} for kind in KINDS}
    series = 0
    for number in range(options.rounds + 1):
        for kind, count in zip(KINDS, (options.ct, options.cr), strict=True):
            for name in sorted(ports, reverse=bool(number % 2)):
                folders = []
                for _ in range(options.associations):
                    series += 1
                    folders.append(base / f"series{series}")
                    write_instances(folders[-1], kind, count, series)
                took_s = send(folders, ports[name])
                if number:
                    rates[kind][name].append(count * options.associations / took_s)
                for folder in folders:
                    shutil.rmtree(folder)
    return rates


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--associations", type=int, default=1)
    parser.add_argument("--ct", type=int, default=100)
    parser.add_argument("--cr", type=int, default=12)
    parser.add_argument("--dir", type=Path, help="work in this folder (its disk is what is measured)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve-bare", nargs=2, metavar=("PORT", "DIR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_bare:
        serve_bare(int(options.serve_bare[0]), Path(options.serve_bare[1]))
        return
    with tempfile.TemporaryDirectory(dir=options.dir) as temporary, ExitStack() as servers:
        base = Path(temporary)
        (base / "bare").mkdir()
        ports = {"bare": free_port(), "hub": free_port()}
        python = sys.executable
        bare = [python, __file__, "--serve-bare", str(ports["bare"]), str(base / "bare")]
        hub = [python, "-m", "osler", "serve", "--data-dir", str(base / "hub"), "--roles", "dimse"]
        subprocess.run(
            [python, "-m", "osler", "init", "--data-dir", str(base / "hub"), "--admin-password-stdin"],
            input=b"not used by anybody\n",
            check=True,
            stdout=subprocess.DEVNULL,
        )
        servers.enter_context(running(bare, ports["bare"], {}))
        servers.enter_context(
            running(
                [*hub, "--dimse", f"127.0.0.1:{ports['hub']}"],
                ports["hub"],
                {"OSLER_MODELS_ENABLED": "", "OSLER_LOG_LEVEL": "error"},
            )
        )
        rates = measure(base, ports, options)
    report = {}
    for kind, by_name in rates.items():
        ratios = [hub / bare for hub, bare in zip(by_name["hub"], by_name["bare"], strict=True)]
        report[kind] = {
            "hub_per_s": round(statistics.median(by_name["hub"]), 1),
            "bare_per_s": round(statistics.median(by_name["bare"]), 1),
            "ratio": round(statistics.median(ratios), 2),
            "ratios": [round(ratio, 2) for ratio in ratios],
        }
    if options.json:
        print(json.dumps(report, indent=2))
        return
    for kind, figures in report.items():
        print(
            f"{kind:10} hub {figures['hub_per_s']:6.1f}/s   bare {figures['bare_per_s']:6.1f}/s"
            f"   ratio {figures['ratio']:.2f}   rounds {figures['ratios']}"
        )


if __name__ == "__main__":
    main()
