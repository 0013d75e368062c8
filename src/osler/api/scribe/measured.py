"""What was measured of drafts and of hearing, as the page of quality shows it: rows, bars, and points of pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from osler.storage.scribe_evaluations import Evaluation

WIDTH: Final = 120
HEIGHT: Final = 28
"""Of a small picture."""
_EDGE: Final = 4
_NOT_A_MARK: Final = "reported, not a pass mark"
_MUST: Final = "must be 100 %"
_ONE_SECTION: Final = "one section each, which may be too little to tell whose it is"

_FIGURES: Final[Sequence[tuple[str, str, str]]] = (
    ("rouge1", "ROUGE-1", _NOT_A_MARK),
    ("rouge2", "ROUGE-2", _NOT_A_MARK),
    ("rouge_l", "ROUGE-L", _NOT_A_MARK),
    ("evidence", "Statements with evidence", _MUST),
    ("faithful", "Statements that pass the gate", ""),
    ("numerals", "Numbers as they were said", ""),
    ("drugs", "Drugs and doses as they were said", ""),
    ("numerals_found", "Numbers of the reference found", ""),
    ("drugs_found", "Drugs of the reference found", ""),
    ("concepts_found", "Concepts of the reference found", ""),
    ("topic", "Section is the right one", ""),
)
_CONTROLS: Final = (
    ("drafts", "others_refused", "Another patient's draft refused", _MUST),
    ("references", "others_refused", "Another patient's note, by a person, refused", _MUST),
    ("drafts", "own_taken", "Own draft taken", ""),
    ("references", "own_taken", "Own note, by a person, taken", ""),
)
_DISTURBED: Final = {"speakers_swapped": "speakers swapped", "as_recognised": "as a recogniser hears it"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A small line or row of bars.

    Parameters
    ----------
    words : str
        What it shows, for those who do not see it.
    points : tuple of (float, float)
        From the left and from the top.
    """

    words: str
    points: tuple[tuple[float, float], ...]

    @property
    def line(self) -> str:
        """The points as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Parameters
    ----------
    name, remark : str
    value : str
    short : bool
        Whether it is less than it must be.
    disturbed : tuple of str
        The same with speakers swapped, and as a recogniser hears it; where it was measured.
    picture : Picture or None
        How it was in earlier reports; None where this is the first.
    """

    name: str
    remark: str
    value: str
    short: bool
    disturbed: tuple[str, ...]
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Bar:
    """Words wrong in one noise."""

    noise: str
    share: float
    value: str
    picture: Picture | None


@dataclass(frozen=True, slots=True)
class Past:
    """One report of a history."""

    at: datetime
    software: str
    by_whom: str
    writer: str
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """The reports on one data set, made in one way; the rows are of the last.

    Parameters
    ----------
    hearing : bool
        Whether recordings were heard; else drafts were written.
    title, about : str
    at : datetime
    rows : tuple of Row
    bars : tuple of Bar
        Words wrong by noise.
    columns : tuple of str
        Of ``disturbed``.
    heads : tuple of str
        Of the figures of ``history``.
    history : tuple of Past
        The newest first.
    """

    hearing: bool
    title: str
    about: str
    at: datetime
    rows: tuple[Row, ...]
    bars: tuple[Bar, ...]
    columns: tuple[str, ...]
    heads: tuple[str, ...]
    history: tuple[Past, ...]


def measured(kept: Sequence[Evaluation]) -> list[Measured]:
    """Gather the reports by data set and way of measuring, the last measured first.

    Parameters
    ----------
    kept : sequence of Evaluation
        The newest first.
    """
    groups: dict[tuple[str, str, str], list[Evaluation]] = {}
    for one in kept:
        report = one.report
        key = (report["kind"], report["corpus"]["sha256"], report.get("template", ""))
        groups.setdefault(key, []).append(one)
    return [_hearing(group) if key[0] == "hearing" else _drafts(group) for key, group in groups.items()]


def _drafts(group: Sequence[Evaluation]) -> Measured:
    last = group[0].report
    columns = [name for name in _DISTURBED if name in last["disturbed"]]
    rows = [*_figures(group, columns), *_controls(group, len(columns)), *_rest(group, columns)]
    name, digest = last["corpus"]["name"], last["corpus"]["sha256"][:12]
    return Measured(
        hearing=False,
        title=f"{name}, {last['template']}",
        about=f"{last['cases']} encounters ({digest}); drafted by {last['writer']}, Osler {last['software']}",
        at=_moment(group[0]),
        rows=tuple(rows),
        bars=(),
        columns=tuple(_DISTURBED[name] for name in columns),
        heads=("ROUGE-1", "Evidence", "Pass the gate", "Another's refused"),
        history=tuple(_past(one, one.report["writer"], _heads(one.report)) for one in group),
    )


def _hearing(group: Sequence[Evaluation]) -> Measured:
    last = group[0].report
    rates: Mapping[str, float] = last["word_error_rate"]
    name, digest = last["corpus"]["name"], last["corpus"]["sha256"][:12]
    minute = [one.report["seconds_per_minute"] for one in group]
    return Measured(
        hearing=True,
        title=f"{name}, heard",
        about=f"{last['recordings']} recordings, {last['minutes']} minutes, {last['words']} words ({digest}); "
        f"heard by {last['model']}, Osler {last['software']}",
        at=_moment(group[0]),
        rows=(Row("Seconds a minute of audio", "", f"{minute[0]:.1f}", False, (), _picture("seconds", minute)),),
        bars=tuple(_bar(group, noise) for noise in rates),
        columns=(),
        heads=tuple(rates),
        history=tuple(
            _past(one, one.report["model"], [_percent(one.report["word_error_rate"].get(noise)) for noise in rates])
            for one in group
        ),
    )


def _bar(group: Sequence[Evaluation], noise: str) -> Bar:
    past = [one.report["word_error_rate"].get(noise) for one in group]
    return Bar(noise, min(past[0], 1.0), _percent(past[0]), _picture(f"words wrong, {noise}", past))


def _figures(group: Sequence[Evaluation], columns: Sequence[str]) -> Iterator[Row]:
    last = group[0].report
    for key, name, remark in _FIGURES:
        value = last["figures"].get(key)
        if value is None:
            continue
        disturbed = tuple(_percent(last["disturbed"][column].get(key)) for column in columns)
        past = [one.report["figures"].get(key) for one in group]
        short = remark == _MUST and value < 1
        yield Row(name, remark, _percent(value), short, disturbed, _picture(name, past))


def _controls(group: Sequence[Evaluation], columns: int) -> Iterator[Row]:
    for side, key, name, remark in _CONTROLS:
        past = [one.report["another_patient"][side].get(key) for one in group]
        if past[0] is None:
            continue
        control = group[0].report["another_patient"]
        count = control[side]["pairs" if key == "others_refused" else "own"]
        said = _ONE_SECTION if remark and not control["references"]["pairs"] else remark
        words = f"of {count}" + (f"; {said}" if said else "")
        short = said == _MUST and past[0] < 1
        yield Row(name, words, _percent(past[0]), short, ("",) * columns, _picture(name, past))


def _rest(group: Sequence[Evaluation], columns: Sequence[str]) -> Iterator[Row]:
    last = group[0].report
    left = tuple(_number(last["disturbed"][column].get("omissions")) for column in columns)
    past = [one.report["figures"].get("omissions") for one in group]
    if past[0] is not None:
        yield Row("Said and left out, a note", "", _number(past[0]), False, left, _picture("left out", past))
    for key, name in (("mean", "Seconds a draft"), ("per_minute", "Seconds a minute spoken")):
        past = [one.report["seconds"].get(key) for one in group]
        if past[0] is not None:
            value = f"{past[0]:.2f}" if past[0] >= 0.1 else f"{past[0]:.3f}"
            yield Row(name, "", value, False, ("",) * len(columns), _picture(name, past))


def _picture(name: str, past: Sequence[float | None]) -> Picture | None:
    """Draw a figure from its first report (left) to its last, between the least and the greatest; None for one alone.

    ``past`` is the newest first.
    """
    values = [value for value in reversed(past) if value is not None]
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    across, down = (WIDTH - 2 * _EDGE) / (len(values) - 1), HEIGHT - 2 * _EDGE
    points = tuple(
        (_EDGE + number * across, _EDGE + down * (0.5 if high == low else (high - value) / (high - low)))
        for number, value in enumerate(values)
    )
    return Picture(f"{name}: {values[0]:.3g} at first, {values[-1]:.3g} now, {len(values)} reports", points)


def _past(one: Evaluation, writer: str, figures: Sequence[str]) -> Past:
    return Past(_moment(one), one.report["software"], one.made_by, writer, tuple(figures))


def _heads(report: Mapping[str, Any]) -> list[str]:
    figures = [_percent(report["figures"].get(key)) for key in ("rouge1", "evidence", "faithful")]
    return [*figures, _percent(report["another_patient"]["drafts"].get("others_refused"))]


def _moment(one: Evaluation) -> datetime:
    return datetime.fromtimestamp(one.made_at, tz=UTC)


def _percent(share: float | None) -> str:
    """Write a share; what is less than all of it never reads 100.0."""
    if share is None:
        return ""
    shown = f"{100 * share:.1f}"
    return f"{'99.9' if shown == '100.0' and share < 1 else shown} %"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
