"""What is said of a result, the same words and figures in the chart, the PACS, the alert and the page."""

from decimal import Decimal
from typing import Final

from osler.domain.findings import CaseResult, Finding, Inference

NOTICE: Final = "Made by artificial intelligence. Preliminary until a physician confirms it."

_DIGITS: Final = (4, 6, 9, 17)


def figures(finding: Finding) -> tuple[Decimal, Decimal]:
    """Return probability and threshold with four digits after the point.

    More digits are kept where rounding would put the probability on the other side of the threshold.
    """
    for digits in _DIGITS:
        step = Decimal(1).scaleb(-digits)
        probability, threshold = (Decimal(repr(v)).quantize(step) for v in (finding.probability, finding.threshold))
        if (probability >= threshold) == finding.positive:
            return probability, threshold
    return Decimal(finding.probability), Decimal(finding.threshold)


def statement(finding: Finding) -> str:
    """Say one finding in one sentence."""
    probability, threshold = figures(finding)
    presence = "suspected" if finding.positive else "not suspected"
    return f"{finding.label}: {presence} (probability {probability}, threshold {threshold})."


def outside(result: CaseResult) -> str:
    """Say why a case lies outside the intended use; empty when it lies inside."""
    if not result.outside_intended_use:
        return ""
    return f"Outside the intended use of the model: {'; '.join(result.outside_intended_use).rstrip('.')}."


def conclusion(inference: Inference, *, intended_use: str = "") -> str:
    """Say a whole result in plain text, with what made it and how far it may be trusted.

    Parameters
    ----------
    inference : Inference
    intended_use : str
        From the model's card.
    """
    lines = [NOTICE]
    for result in inference.results:
        lines += [statement(f) for f in result.findings]
        lines += [outside(result)]
    lines += [f"A series was not read: {refusal.reason.rstrip('.')}." for refusal in inference.refusals]
    lines.append(f"Model {inference.model.name}, version {inference.model.version}.")
    if intended_use:
        lines.append(f"Intended use: {intended_use}")
    return "\n".join(dict.fromkeys(line for line in lines if line))
