"""A result as one self-contained HTML page: image and heatmap, the finding, what made it, where it went.

The page asks for nothing outside itself, runs no script and holds no identity: the image is the de-identified one.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jinja2
import pydicom

from osler.domain.events import Recorded
from osler.domain.findings import CaseResult, Finding
from osler.plugins import Card
from osler.publish import overlay
from osler.publish.secondary_capture import Render
from osler.publish.wording import NOTICE, figures


@dataclass(frozen=True, slots=True)
class Illustration:
    """One case as pictures: the image, and the heatmap as a transparent layer of the same size, both PNG."""

    image: bytes
    heat: bytes | None
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a page shows.

    Parameters
    ----------
    recorded : Recorded
    illustrations : sequence of Illustration or None
        One for each result, in order.
    card : Card, optional
    site : str
    references : mapping of str to str
        What was made and where, e.g. ``{"DiagnosticReport": "...", "DICOM SR": "2.25..."}``.
    steps : sequence of (str, float)
        The steps on the way with the time that each took, seconds.
    audit_verified : bool, optional
        None when it was not checked.
    """

    recorded: Recorded
    illustrations: Sequence[Illustration | None] = ()
    card: Card | None = None
    site: str = "Osler"
    references: Mapping[str, str] = field(default_factory=dict)
    steps: Sequence[tuple[str, float]] = ()
    audit_verified: bool | None = None


def illustrate(
    result: CaseResult, image: pydicom.Dataset, *, render: Render, heatmap: Callable[[str], bytes]
) -> Illustration:
    """Make the pictures of one case.

    Parameters
    ----------
    result : CaseResult
    image : pydicom.Dataset
        The de-identified instance that was read, whole.
    render : callable
        Shows it as grey values.
    heatmap : callable
        Reads a heatmap by its blob reference.

    Raises
    ------
    InputRejected
        If the image cannot be shown.
    """
    base = overlay.picture(render(image))
    layer = overlay.png(overlay.heat(heatmap(result.heatmap), base.size)) if result.heatmap else None
    return Illustration(overlay.png(base), layer, *base.size)


def render_page(facts: Facts) -> str:
    """Write the page as HTML."""
    recorded = facts.recorded
    results = recorded.inference.results
    shown = [*facts.illustrations, *[None] * len(results)]
    return _template().render(
        facts=facts,
        notice=NOTICE,
        model=recorded.inference.model,
        recorded_at=datetime.fromtimestamp(recorded.recorded_at, tz=UTC),
        cases=list(zip(results, shown, strict=False)),
        outside=list(dict.fromkeys(reason for r in results for reason in r.outside_intended_use)),
        refusals=recorded.inference.refusals,
        evaluation=list(_measured(facts.card.evaluation)) if facts.card else [],
        longest_s=max((seconds for _, seconds in facts.steps), default=0.0) or 1.0,
        total_s=sum(seconds for _, seconds in facts.steps),
    )


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("osler.publish"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"base64": lambda content: base64.b64encode(content).decode(), "duration": _duration}
    environment.globals["figures"] = _figures
    return environment.get_template("result.html.j2")


def _figures(finding: Finding) -> dict[str, Decimal | str]:
    probability, threshold = figures(finding)
    return {
        "probability": probability,
        "threshold": threshold,
        "probability_at": f"{finding.probability * 100:.2f}",
        "threshold_at": f"{finding.threshold * 100:.2f}",
    }


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _measured(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Pick the lines of a card's free-form figures that fit on a page: plain values, and values with their interval."""
    for key, value in evaluation.items():
        name = str(key).replace("_", " ")
        if isinstance(value, Mapping):
            figures = {k: _with_interval(v) for k, v in value.items()}
            if all(words is not None for words in figures.values()):
                yield from ((f"{name}: {str(k).replace('_', ' ')}", str(words)) for k, words in figures.items())
        elif not isinstance(value, list | tuple):
            yield name, str(value)


def _with_interval(value: Any) -> str | None:
    """Write a plain value, or ``{"value": 0.9, "interval_95": [0.8, 1.0]}``; None for anything else."""
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, Mapping) and set(value) == {"value", "interval_95"}:
        low, high = value["interval_95"]
        return f"{value['value']} (95 % interval {low} to {high})"
    return None
