"""What a run found, as JSON and as one page with a plot."""

import dataclasses
import html
import json
import os
import platform
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chaos.run import Outcome, Struck

_ROW, _LEFT, _WIDTH = 18, 210, 760


def write(outcome: "Outcome", folder: Path, *, asked: int) -> None:
    """Write ``report.json``, ``report.html`` and the hub's log."""
    (folder / "report.json").write_text(json.dumps(_document(outcome, asked), indent=1) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(_page(outcome, asked), encoding="utf-8")
    (folder / "serve.log").write_text(outcome.log, encoding="utf-8")


def summary(outcome: "Outcome", *, asked: int) -> str:
    """Return the figures, a line each."""
    return "\n".join(f"{name}: {value}" for name, value in _figures(outcome, asked).items())


def _figures(outcome: "Outcome", asked: int) -> dict[str, Any]:
    times = sorted(one.recovery_s for one in outcome.struck if one.recovery_s is not None)
    return {
        "faults": f"{len(outcome.struck)} of {asked} asked, seed {outcome.seed}",
        "engines": "PostgreSQL, RabbitMQ" if outcome.servers else "SQLite, embedded queue",
        "left out": ", ".join(outcome.left_out) or "nothing",
        "studies acknowledged": outcome.studies,
        "HL7 v2 messages acknowledged": outcome.messages,
        "checks at rest": outcome.checks,
        "lost, doubled, missing": "; ".join(outcome.problems) or "nothing",
        "recovery": f"median {statistics.median(times):.1f} s, p95 {times[int(0.95 * (len(times) - 1))]:.1f} s, "
        f"longest {times[-1]:.1f} s" if times else "none",
        "recovered later than 30 s, or never": len(outcome.late),
        "messages that a peer got again under the same key": outcome.repeated,
        "processes that ended by themselves and were started again": outcome.restarts,
        "minutes": round(outcome.seconds / 60, 1),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
    }  # fmt: skip


def _document(outcome: "Outcome", asked: int) -> dict[str, Any]:
    faults = [dataclasses.asdict(one.strike) | {"recovery_s": one.recovery_s} for one in outcome.struck]
    return {"figures": _figures(outcome, asked), "problems": outcome.problems, "faults": faults}


def _page(outcome: "Outcome", asked: int) -> str:
    figures = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>"
        for name, value in _figures(outcome, asked).items()
    )
    rows = "".join(
        f"<tr><td>{one.strike.number}</td><td>{' + '.join(one.strike.names)}</td><td>{one.strike.hold_s:.1f}</td>"
        f"<td>{'never' if one.recovery_s is None else f'{one.recovery_s:.1f}'}</td></tr>"
        for one in outcome.struck
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Faults over a mixed load</title><style>'
        "body{font:15px sans-serif;max-width:60em;margin:2em auto}th{text-align:left;padding-right:2em}"
        "td,th{vertical-align:top}</style><h1>Faults over a mixed load</h1>"
        f"<table>{figures}</table><h2>Time to recover, seconds</h2>{_plot(outcome.struck)}"
        "<p>A dot is a fault; of two at once the first counts. The line is 30 s.</p>"
        "<details><summary>Each fault</summary><table><tr><th>number<th>fault<th>lasted, s<th>recovery, s</tr>"
        f"{rows}</table></details></html>\n"
    )


def _plot(struck: "list[Struck]") -> str:
    names = sorted({one.strike.names[0] for one in struck})
    longest = max([32.0, *(one.recovery_s or 0.0 for one in struck)])

    def across(seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 10) * seconds / longest

    height = _ROW * len(names) + 30
    marks = [f'<line x1="{across(30):.1f}" x2="{across(30):.1f}" y1="0" y2="{height - 24}" stroke="#c33"/>']
    marks += [
        f'<text x="{across(seconds):.1f}" y="{height - 8}" text-anchor="middle">{seconds}</text>'
        for seconds in range(0, int(longest) + 1, 5)
    ]
    marks += [
        f'<text x="{_LEFT - 8}" y="{_ROW * row + 13}" text-anchor="end">{html.escape(name)}</text>'
        for row, name in enumerate(names)
    ]
    marks += [
        f'<circle cx="{across(one.recovery_s):.1f}" cy="{_ROW * names.index(one.strike.names[0]) + 9}" r="3"/>'
        for one in struck
        if one.recovery_s is not None
    ]
    style = 'font-family="sans-serif" font-size="12" fill="#246" fill-opacity="0.7"'
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" {style}>{"".join(marks)}</svg>'
