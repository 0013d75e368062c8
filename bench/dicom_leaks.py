"""What is left of planted identifiers in DICOM objects, beside dicognito and dicom-anonymizer, in one run.

The objects, one of each family with its identifiers in every place that the family has, and the search for what is left
are those of the tests (``tests/dicom_residue.py``). An object that is refused leaves nothing and keeps nothing.

    python bench/dicom_leaks.py [--peers] [--rounds 3] [--json]

With ``--peers`` dicom-anonymizer is installed from PyPI into a virtual environment in a temporary folder and run there,
in a process of its own.
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
from dicognito.anonymizer import Anonymizer

from osler.deidentify.dicom import deidentify_instance
from osler.deidentify.ephemeral import EphemeralPseudonyms
from osler.errors import InputRejected

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from dicom_residue import FAMILIES, Planted, residue

CLEAN = ("clean-descriptors", "clean-structured-content", "clean-graphics")
DICOM_ANONYMIZER = "dicom-anonymizer==2.1.0"
RUN_DICOM_ANONYMIZER = """
import sys, time, warnings
from pathlib import Path
from dicomanonymizer import anonymize_dicom_file
warnings.simplefilter("ignore")
source, target, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
passed, done = 0.0, 0
for path in sorted(source.iterdir()):
    for _ in range(rounds):
        start = time.perf_counter()
        try:
            anonymize_dicom_file(str(path), str(target / path.name))
        except Exception as error:
            print(path.name, type(error).__name__, file=sys.stderr)
            (target / path.name).unlink(missing_ok=True)
            break
        passed, done = passed + time.perf_counter() - start, done + 1
print(done / passed if passed else 0)
"""
Outputs = dict[str, bytes | None]
Objects = dict[str, Planted]


def in_process(run: Callable[[bytes], bytes], objects: Objects, rounds: int) -> tuple[Outputs, float]:
    """Return what comes of each object, None where it was not let through or the tool failed, and files a second."""
    outputs: Outputs = {}
    passed, done = 0.0, 0
    for family, planted in objects.items():
        try:
            outputs[family] = run(planted.content)
        except InputRejected:
            outputs[family] = None
            continue
        except Exception as error:
            print(f"{family}: {type(error).__name__}", file=sys.stderr)
            outputs[family] = None
            continue
        start = time.perf_counter()
        for _ in range(rounds):
            run(planted.content)
        passed, done = passed + time.perf_counter() - start, done + rounds
    return outputs, done / passed if passed else 0.0


def osler(options: tuple[str, ...]) -> Callable[[bytes], bytes]:
    pseudonyms = EphemeralPseudonyms()
    return lambda content: deidentify_instance(content, pseudonyms=pseudonyms, options=options).content


def dicognito() -> Callable[[bytes], bytes]:
    anonymizer = Anonymizer()

    def run(content: bytes) -> bytes:
        dataset = pydicom.dcmread(io.BytesIO(content))
        anonymizer.anonymize(dataset)
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    return run


def dicom_anonymizer(objects: Objects, rounds: int) -> tuple[Outputs, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "peer", with_pip=True)
        python = folder / "peer" / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", DICOM_ANONYMIZER], check=True, stdout=sys.stderr)
        source, target = folder / "in", folder / "out"
        source.mkdir()
        target.mkdir()
        for family, planted in objects.items():
            (source / family).write_bytes(planted.content)
        command = [python, "-c", RUN_DICOM_ANONYMIZER, source, target, str(rounds)]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
        outputs = {f: (target / f).read_bytes() if (target / f).exists() else None for f in objects}
    return outputs, float(run.stdout.split()[-1])


def row(objects: Objects, outputs: Outputs, speed: float) -> dict[str, Any]:
    """Count over what was let through; ``planted`` and ``must_keep`` are those of the same objects."""
    let_through = {f: content for f, content in outputs.items() if content is not None}
    left = {f: residue(objects[f], content) for f, content in let_through.items()}
    lost = {f: objects[f].lost(pydicom.dcmread(io.BytesIO(c), force=True)) for f, c in let_through.items()}
    return {
        "left": sum(map(len, left.values())),
        "planted": sum(len(objects[f].canaries) for f in let_through),
        "lost": sum(map(len, lost.values())),
        "must_keep": sum(len(objects[f].kept) for f in let_through),
        "files": len(let_through),
        "not_let_through": sorted(objects.keys() - let_through.keys()),
        "files_per_s": round(speed, 1),
        "where_left": {f: places for f, places in left.items() if places},
        "what_lost": {f: names for f, names in lost.items() if names},
    }


def measure(rounds: int, peers: bool) -> dict[str, dict[str, Any]]:
    objects = {family: make() for family, make in FAMILIES.items()}
    runs = {
        "osler": in_process(osler(()), objects, rounds),
        "osler, all that clean": in_process(osler(CLEAN), objects, rounds),
        "dicognito": in_process(dicognito(), objects, rounds),
    }
    if peers:
        runs["dicom-anonymizer"] = dicom_anonymizer(objects, rounds)
    return {name: row(objects, *run) for name, run in runs.items()}


def show(results: dict[str, dict[str, Any]]) -> None:
    print(f"{'':24}{'files let through':>18}{'identifiers left':>20}{'must-keep lost':>18}{'files/s':>10}")
    for name, result in results.items():
        files = f"{result['files']} of {len(FAMILIES)}"
        left, lost = f"{result['left']} of {result['planted']}", f"{result['lost']} of {result['must_keep']}"
        print(f"{name:24}{files:>18}{left:>20}{lost:>18}{result['files_per_s']:>10}")
    for name, result in results.items():
        if result["not_let_through"]:
            print(f"{name} did not let through: {', '.join(result['not_let_through'])}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="install dicom-anonymizer, and measure it too")
    parser.add_argument("--rounds", type=int, default=3, help="how often each object is timed")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = measure(args.rounds, args.peers)
    if args.json:
        print(json.dumps(results, indent=2))
        return
    show(results)
    if not args.peers:
        print("dicom-anonymizer was not measured: python bench/dicom_leaks.py --peers installs it from PyPI.")


if __name__ == "__main__":
    main()
