"""``osler deid evaluate``: how well texts are de-identified, against texts whose identifiers are marked."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from osler.cli.caller import Json, emit, progress_console
from osler.deidentify.text import Deidentifier
from osler.deidentify.text.evaluate import Evaluation, count
from osler.deidentify.text.gold import Gold, Marked, read_gold, read_predictions
from osler.errors import DeidentificationRefused

TEXTS_A_TASK = 20
"""Texts that one process takes at a time."""

_RATES = {
    "token_recall": "identifiers' words hidden",
    "token_precision": "hidden words that are identifiers",
    "leak": "identifiers' characters left visible",
    "document_leak": "texts with anything left visible",
    "over_redaction": "innocent words hidden",
}


def evaluate(
    gold: Annotated[Path, typer.Argument(help="Marked texts: .jsonl, marked .txt, or a folder of them.", exists=True)],
    predictions: Annotated[
        Path | None, typer.Option(help='Measure this: lines {"id","spans"}, as deid text --jsonl writes.', exists=True)
    ] = None,
    method: Annotated[str, typer.Option(help="safe-harbor, limited-data-set or surrogates.")] = "safe-harbor",
    as_json: Json = False,
) -> None:
    """Measure de-identification: recall, precision, leak and over-redaction, and the errors without the identifiers."""
    texts = list(read_gold(gold))
    if predictions is None:
        evaluation, refused = measure(texts, method)
    else:
        evaluation, refused = compare(texts, read_predictions(predictions)), 0
    document = {
        "method": None if predictions else method,
        **evaluation.to_json(),
        "refused": refused,
        "errors": [asdict(fault) for fault in evaluation.faults],
    }
    emit(document, as_json, lambda console: show(console, evaluation, refused))


def measure(texts: Sequence[Gold], method: str) -> tuple[Evaluation, int]:
    """De-identify `texts` on all cores, with a progress bar on standard error.

    Returns
    -------
    evaluation : Evaluation
        In the order of `texts`. A text that is refused counts as wholly hidden: nothing of it is passed on.
    refused : int
    """
    _engine(method)  # an unknown method is refused here, and the processes start with what this one has read
    whole, refused = Evaluation(), 0
    with ProcessPoolExecutor() as pool:
        parts = [(pool.submit(_measure, batch, method), len(batch)) for batch in _batches(texts)]
        with Progress(console=progress_console(), transient=True) as progress:
            task = progress.add_task("evaluating", total=len(texts))
            for future, size in parts:
                part, refusals = future.result()
                whole.add(part)
                refused += refusals
                progress.advance(task, size)
    return whole, refused


def compare(texts: Sequence[Gold], predictions: Mapping[str, tuple[Marked, ...]]) -> Evaluation:
    """Compare `texts` with what another run found, by id; a text that it lacks counts as left as it was."""
    evaluation = Evaluation()
    for text in texts:
        count(evaluation, text, predictions.get(text.id, ()))
    return evaluation


def show(console: Console, evaluation: Evaluation, refused: int = 0) -> None:
    """Print the rates, a table by category, and the errors."""
    rates = evaluation.to_json()
    console.print(f"{evaluation.documents} texts, {evaluation.identified} with identifiers, {refused} refused")
    summary = Table(show_header=False, box=None)
    for name, meaning in _RATES.items():
        summary.add_row(name.replace("_", " "), _percent(rates[name]), meaning)
    console.print(summary)
    table = Table("category", "identifiers", "token recall", "right category")
    for name, row in rates["by_category"].items():
        table.add_row(name, str(row["spans"]), _percent(row["token_recall"]), _percent(row["category_correct"]))
    console.print(table)
    for fault in evaluation.faults:
        console.print(
            f"{fault.kind:14}  {fault.category:11}  {fault.id}  {fault.context}", markup=False, soft_wrap=True
        )


def _batches(texts: Sequence[Gold]) -> Iterator[list[Gold]]:
    rest = iter(texts)
    while batch := list(islice(rest, TEXTS_A_TASK)):
        yield batch


@cache
def _engine(method: str) -> Deidentifier:
    """Return a process's engine; word lists and the model are read once."""
    return Deidentifier(method=method)


def _measure(batch: Sequence[Gold], method: str) -> tuple[Evaluation, int]:
    engine, evaluation, refused = _engine(method), Evaluation(), 0
    for text in batch:
        try:
            count(evaluation, text, engine.spans(text.text))
        except DeidentificationRefused:
            refused += 1
            count(evaluation, text, (Marked(0, len(text.text), "REFUSED"),))
    return evaluation, refused


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.2f} %"
