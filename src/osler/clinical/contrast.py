"""What kidney function says about contrast media.

References
----------
Davenport MS, Perazella MA, Yee J, et al. Use of intravenous iodinated contrast media in patients with kidney disease:
consensus statements from the American College of Radiology and the National Kidney Foundation. Radiology
2020;294:660-668.
Weinreb JC, Rodby RA, Yee J, et al. Use of intravenous gadolinium-based contrast media in patients with kidney disease:
consensus statements from the American College of Radiology and the National Kidney Foundation. Radiology
2021;298:28-35.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SEVERE: Final = 30.0
"""mL/min/1.73 m2; below it the kidney is at risk from iodinated contrast (stages G4 and G5)."""
MODERATE: Final = 45.0
"""mL/min/1.73 m2; below it (G3b) precautions are at the discretion of those who know the patient."""


class Medium(StrEnum):
    """Kind of contrast medium."""

    IODINATED = "iodinated"
    GADOLINIUM = "gadolinium-based"


@dataclass(frozen=True, slots=True)
class Caution:
    """What to say to the person who orders.

    Parameters
    ----------
    severe : bool
    words : str
    source : str
        The guideline.
    url : str
        Where it can be read.
    """

    severe: bool
    words: str
    source: str
    url: str


_IODINATED: Final = ("ACR and NKF consensus on iodinated contrast, 2020", "https://doi.org/10.1148/radiol.2019192094")
_GADOLINIUM: Final = ("ACR and NKF consensus on gadolinium, 2021", "https://doi.org/10.1148/radiol.2020202903")


def contrast_caution(egfr: float, medium: Medium) -> Caution | None:
    """Say what an estimated GFR (mL/min/1.73 m2) means for a contrast medium; None when nothing needs to be said."""
    if medium is Medium.IODINATED:
        if egfr < SEVERE:
            words = "Prophylaxis with intravenous saline is indicated before iodinated contrast unless contraindicated."
            return Caution(True, words, *_IODINATED)
        if egfr < MODERATE:
            words = "Prophylaxis may be considered for patients at high risk, such as after recent acute kidney injury."
            return Caution(False, words, *_IODINATED)
        return None
    if egfr < SEVERE:
        words = "Use a group II agent; group I and III agents carry a risk of nephrogenic systemic fibrosis."
        return Caution(True, words, *_GADOLINIUM)
    return None
