"""Estimated glomerular filtration rate from serum creatinine."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

EGFR_PER_YEAR = 0.9938
"""Factor of CKD-EPI 2021 for each year of age."""


def ckd_epi_2021(serum_creatinine_mg_dl: npt.ArrayLike, age_years: npt.ArrayLike, female: npt.ArrayLike) -> FloatArray:
    """Return eGFR by the race-free CKD-EPI 2021 creatinine equation.

    Parameters
    ----------
    serum_creatinine_mg_dl
        Serum creatinine in mg/dL, shape ``(n,)``.
    age_years
        Age at the measurement in years, shape ``(n,)``.
    female
        True for women, shape ``(n,)``.

    Returns
    -------
    numpy.ndarray
        eGFR in mL/min/1.73 m2, shape ``(n,)``, unrounded. Missing creatinine or age gives NaN.

    References
    ----------
    Inker LA et al. N Engl J Med 2021;385:1737-1749. doi:10.1056/NEJMoa2102953

    Examples
    --------
    >>> round(float(ckd_epi_2021([0.7], [35.0], [True])[0]), 1)
    115.6
    """
    return egfr_from_factor(creatinine_factor(serum_creatinine_mg_dl, female), age_years, female)


def creatinine_factor(serum_creatinine_mg_dl: npt.ArrayLike, female: npt.ArrayLike) -> FloatArray:
    """Return what creatinine contributes to :func:`ckd_epi_2021`, the constant of the equation included.

    Parameters
    ----------
    serum_creatinine_mg_dl, female
        As there. Printed creatinine has few values, so that the factor can be kept in a table.

    Examples
    --------
    >>> table = creatinine_factor([0.7, 1.4], True)
    >>> float(egfr_from_factor(table[0], 35.0, True)) == float(ckd_epi_2021(0.7, 35.0, True))
    True
    """
    creatinine = np.asarray(serum_creatinine_mg_dl, dtype=np.float64)
    is_female = np.asarray(female, dtype=bool)
    ratio = creatinine / np.where(is_female, 0.7, 0.9)
    low = np.minimum(ratio, 1.0) ** np.where(is_female, -0.241, -0.302)
    high = np.maximum(ratio, 1.0) ** -1.200
    return np.asarray(142.0 * low * high, dtype=np.float64)


def egfr_from_factor(factor: npt.ArrayLike, age_years: npt.ArrayLike, female: npt.ArrayLike) -> FloatArray:
    """Return the eGFR of :func:`ckd_epi_2021` from its :func:`creatinine_factor` and the rest of the equation."""
    of_age = EGFR_PER_YEAR ** np.asarray(age_years, dtype=np.float64)
    sex = np.where(np.asarray(female, dtype=bool), 1.012, 1.0)
    return np.asarray(np.asarray(factor, dtype=np.float64) * of_age * sex, dtype=np.float64)


def creatinine_for_egfr(egfr: npt.ArrayLike, age_years: npt.ArrayLike, female: npt.ArrayLike) -> FloatArray:
    """Return the serum creatinine in mg/dL at which :func:`ckd_epi_2021` gives ``egfr`` (its exact inverse).

    Parameters
    ----------
    egfr
        eGFR in mL/min/1.73 m2, shape ``(n,)``, positive.
    age_years, female
        As in :func:`ckd_epi_2021`.

    Examples
    --------
    >>> round(float(creatinine_for_egfr([60.0], [40.0], [True])[0]), 2)
    1.18
    """
    age = np.asarray(age_years, dtype=np.float64)
    is_female = np.asarray(female, dtype=bool)
    at_kappa = 142.0 * EGFR_PER_YEAR**age * np.where(is_female, 1.012, 1.0)
    relative = np.asarray(egfr, dtype=np.float64) / at_kappa
    exponent = np.where(relative < 1.0, 1.200, np.where(is_female, 0.241, 0.302))
    return np.asarray(np.where(is_female, 0.7, 0.9) * relative ** (-1.0 / exponent), dtype=np.float64)
