"""How far two versions of a model agree on the studies that both have read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from osler.domain.findings import Finding
from osler.domain.inference_json import loads
from osler.registry.measures import Estimate, kappa, mean_difference, proportion
from osler.storage.tables import inference

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two versions on one label.

    Parameters
    ----------
    label : str
    compared : int
        Cases that both have read. The intervals take them as independent of each other.
    agreement, kappa : Estimate
        Of positive or not, each at its own threshold.
    difference : Estimate
        Mean probability of the second less that of the first.
    first_positive, second_positive : int
    """

    label: str
    compared: int
    agreement: Estimate
    kappa: Estimate
    difference: Estimate
    first_positive: int
    second_positive: int

    def document(self) -> dict[str, Any]:
        """Write it as JSON values."""
        return {
            "label": self.label,
            "compared": self.compared,
            "agreement": self.agreement.document(),
            "kappa": self.kappa.document(),
            "mean_difference": self.difference.document(),
            "champion_positive": self.first_positive,
            "challenger_positive": self.second_positive,
        }


def agreements(connection: Connection, first: str, second: str) -> list[Agreement]:
    """Compare two versions, on each label that both give, from the results in the ledger.

    Parameters
    ----------
    connection : Connection
    first, second : str
        ``name@version``.
    """
    pairs: dict[str, list[tuple[Finding, Finding]]] = {}
    for one, other in _both(connection, first, second):
        found = {finding.label: finding for finding in one}
        for finding in other:
            if finding.label in found:
                pairs.setdefault(finding.label, []).append((found[finding.label], finding))
    return [_agreement(label, pairs[label]) for label in sorted(pairs)]


def _agreement(label: str, pairs: list[tuple[Finding, Finding]]) -> Agreement:
    positive = np.array([(one.positive, other.positive) for one, other in pairs], dtype=np.bool_)
    probability = np.array([(one.probability, other.probability) for one, other in pairs], dtype=np.float64)
    return Agreement(
        label=label,
        compared=len(pairs),
        agreement=proportion(int((positive[:, 0] == positive[:, 1]).sum()), len(pairs)),
        kappa=kappa(positive[:, 0], positive[:, 1]),
        difference=mean_difference(probability[:, 0], probability[:, 1]),
        first_positive=int(positive[:, 0].sum()),
        second_positive=int(positive[:, 1].sum()),
    )


def _both(connection: Connection, first: str, second: str) -> Iterator[tuple[tuple[Finding, ...], tuple[Finding, ...]]]:
    """Yield the findings of both on each case, read in the same revision of the study."""
    one, other = inference.alias("one"), inference.alias("other")
    query = (
        select(one.c.body, other.c.body)
        .join(other, (one.c.study_uid == other.c.study_uid) & (one.c.revision == other.c.revision))
        .where(one.c.model == first, other.c.model == second)
        .execution_options(yield_per=_PAGE)
    )
    for left, right in connection.execute(query):
        cases = {result.sop_instance_uids: result.findings for result in loads(left).results}
        for result in loads(right).results:
            if result.sop_instance_uids in cases:
                yield cases[result.sop_instance_uids], result.findings
