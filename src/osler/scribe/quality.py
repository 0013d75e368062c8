"""How much people change of drafts, and how long they take: figures over signed notes, which tell of no patient."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any, Final

from osler.domain.encounter import EncounterState
from osler.scribe.papers import Json, Paper, Papers
from osler.storage import encounters
from osler.stores import Stores

MOST_NOTES: Final = 200
"""Signed notes that are looked at, the last ones."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Figures of one writer and one kind of note.

    Parameters
    ----------
    writer, template : str
    notes : int
        Signed.
    words_changed : float
        Mean share of words that people changed, 0 to 1.
    untouched : float
        Share of notes that were signed as drafted.
    kept, edited, removed, refused : float
        Shares of the drafted statements: as drafted, changed, taken out by a person, struck through by the gate.
    added : float
        Mean number of statements that people added.
    minutes : float
        Median time from draft to signature, minutes.
    """

    writer: str
    template: str
    notes: int
    words_changed: float
    untouched: float
    kept: float
    edited: float
    removed: float
    refused: float
    added: float
    minutes: float


def quality(stores: Stores) -> list[Quality]:
    """Measure the notes that were signed last, by writer and kind."""
    papers, groups = Papers(stores.identified), dict[tuple[str, str], list[Json]]()
    with stores.database.read() as connection:
        last = encounters.newest(
            connection, state=EncounterState.SIGNED, patient="", before=float("inf"), limit=MOST_NOTES
        )
        for one in last:
            signed = papers.load(connection, one.id, Paper.SIGNED, 1)
            author = signed["note"]["author"]
            key = (f"{author['name']} {author['version']}", signed["note"]["template"])
            groups.setdefault(key, []).append(signed["review"])
    return [_figures(writer, template, reviews) for (writer, template), reviews in sorted(groups.items())]


def _figures(writer: str, template: str, reviews: list[dict[str, Any]]) -> Quality:
    drafted = sum(review["drafted"] for review in reviews) or 1

    def share(name: str) -> float:
        return float(round(sum(review[name] for review in reviews) / drafted, 4))

    def mean(values: Iterable[float]) -> float:
        return float(round(fmean(values), 4))

    return Quality(
        writer=writer,
        template=template,
        notes=len(reviews),
        words_changed=mean(review["words_changed"] for review in reviews),
        untouched=mean(float(not (r["edited"] or r["removed"] or r["added"])) for r in reviews),
        kept=share("kept"),
        edited=share("edited"),
        removed=share("removed"),
        refused=share("refused"),
        added=mean(review["added"] for review in reviews),
        minutes=round(median(review["seconds"] for review in reviews) / 60, 1),
    )
