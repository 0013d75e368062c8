"""Count in how many encounters a term stands: ``python -m osler.draft.gate.weights.build FOLDER``."""

import argparse
from collections import Counter
from pathlib import Path

from osler.draft.evaluate.corpora import read_aci_bench, read_mts_dialog, read_primock57
from osler.draft.facts.extract import extract
from osler.draft.gate.belonging import terms

_LEAST = 3


def main() -> None:
    """Read the folder named on the command line and write ``rarity.txt`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with aci-bench, mts-dialog and primock57")
    folder = parser.parse_args().folder
    cases = [
        *read_aci_bench(folder / "aci-bench" / "train.csv"),
        *read_mts_dialog(folder / "mts-dialog" / "MTS-Dialog-TrainingSet.csv"),
        *read_primock57(folder / "primock57" / "dialogue_note.dev.csv"),
    ]
    counts: Counter[str] = Counter()
    for case in cases:
        texts = [*(said.text for said in case.transcript.utterances), case.reference]
        counts.update({term for text in texts for term in terms(extract(text))})
    lines = [f"{term} {count}" for term, count in sorted(counts.items()) if count >= _LEAST]
    Path(__file__).with_name("rarity.txt").write_text("\n".join([str(len(cases)), *lines]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
