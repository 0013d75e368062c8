"""Kidney function from serum creatinine.

References
----------
Inker LA, Eneanya ND, Coresh J, et al. New creatinine- and cystatin C-based equations to estimate GFR without race.
N Engl J Med 2021;385:1737-1749 (CKD-EPI creatinine 2021).
"""

from typing import Final

from osler.errors import InputRejected

UMOL_PER_MG_DL: Final = 88.42
"""Micromoles per litre of creatinine in one milligram per decilitre (molar mass 113.12 g/mol)."""

_MIN_AGE: Final = 18.0
_MAX_AGE: Final = 130.0
_CREATININE: Final = (0.05, 50.0)


def ckd_epi_2021(creatinine: float, *, age: float, female: bool) -> float:
    """Estimate the glomerular filtration rate of an adult by the CKD-EPI creatinine equation of 2021.

    Parameters
    ----------
    creatinine : float
        Serum or plasma creatinine, mg/dL, standardised to IDMS.
    age : float
        Years; the equation is for adults.
    female : bool

    Returns
    -------
    float
        mL/min per 1.73 m2 of body surface.

    Raises
    ------
    InputRejected
        If the age is that of a child, or a value cannot be true.
    """
    if not _MIN_AGE <= age <= _MAX_AGE:
        raise InputRejected("the CKD-EPI equation is for adults of 18 years and more")
    if not _CREATININE[0] <= creatinine <= _CREATININE[1]:
        raise InputRejected("the creatinine is not a possible value in mg/dL")
    kappa, alpha = (0.7, -0.241) if female else (0.9, -0.302)
    ratio = creatinine / kappa
    rate: float = 142.0 * min(ratio, 1.0) ** alpha * max(ratio, 1.0) ** -1.200 * 0.9938**age
    return rate * 1.012 if female else rate
