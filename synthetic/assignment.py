"""Treatment assignment with confounding by indication, conditioned on what the paper says of the arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray
from synthetic.baseline import Baseline, Covariates, draw_baseline
from synthetic.model import AssignmentModel, PatientModel

FloatArray = npt.NDArray[np.float64]

_BATCH = 128
_MOST_BATCHES = 400


@dataclass(frozen=True, slots=True)
class AssignedBaseline:
    """Baseline patients with their arm.

    ``tacrolimus`` has shape ``(n,)``; ``logit`` is the log odds of tacrolimus without the calendar term;
    ``draws`` counts the candidate assignments drawn until one met the conditions.
    """

    baseline: Baseline
    tacrolimus: BoolArray
    logit: FloatArray
    draws: int


@dataclass(frozen=True, slots=True)
class Balance:
    """How the arms of ``k`` candidate assignments of the same ``n`` patients compare on ``m`` covariates.

    ``smd`` and ``p_value`` have shape ``(m, k)``; the p-value of pure class V and whether it is more frequent on
    tacrolimus have shape ``(k,)``.
    """

    smd: FloatArray
    p_value: FloatArray
    class_v_p_value: FloatArray
    class_v_more_on_tacrolimus: BoolArray


def assignment_logit(baseline: Covariates, model: AssignmentModel) -> FloatArray:
    """Return the log odds of tacrolimus, up to a constant and the calendar term, shape ``(n,)``."""
    return np.asarray(
        model.class_v * baseline.class_v
        + model.log_upcr * np.log(baseline.upcr / 300.0) / model.log_upcr_sd
        + model.refractory * baseline.refractory
        + model.latent_severity * baseline.latent_severity
    )


def compare_arms(baseline: Baseline, tacrolimus: BoolArray) -> Balance:
    """Compare the balance covariates between the arms of candidate assignments.

    Parameters
    ----------
    baseline
        ``n`` patients; every balance covariate varies.
    tacrolimus
        Candidate assignments, shape ``(n, k)``, all with the same number of treated patients.

    Returns
    -------
    Balance
        Welch t for numbers, Pearson chi-square (no continuity correction) for yes/no covariates and for pure class V.
    """
    from scipy.special import chdtrc, stdtr

    values = np.stack(list(baseline.balance_covariates().values()))
    binary = np.array([len(np.unique(row)) == 2 for row in values])
    # Standardised first, so that variances from sums of squares lose no digits.
    values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    treated = tacrolimus.astype(np.float64)
    n1 = int(tacrolimus[:, 0].sum())
    n0 = len(treated) - n1
    m1, m0 = values @ treated / n1, values @ (1.0 - treated) / n0
    v1 = (values**2 @ treated - n1 * m1**2) / (n1 - 1)
    v0 = (values**2 @ (1.0 - treated) - n0 * m0**2) / (n0 - 1)
    difference = m1 - m0
    error = v1 / n1 + v0 / n0
    degrees = error**2 / ((v1 / n1) ** 2 / (n1 - 1) + (v0 / n0) ** 2 / (n0 - 1))
    p_welch = 2 * stdtr(degrees, -np.abs(difference) / np.sqrt(error))
    # The values have variance one over both arms together, so this is the chi-square of the two-by-two table.
    p_pearson = chdtrc(1, difference**2 / (1 / n1 + 1 / n0))
    class_v = (baseline.class_v - baseline.class_v.mean()) / baseline.class_v.std()
    excess = class_v @ treated / n1 - class_v @ (1.0 - treated) / n0
    return Balance(
        smd=difference / np.sqrt((v1 + v0) / 2),
        p_value=np.where(binary[:, None], p_pearson, p_welch),
        class_v_p_value=np.asarray(chdtrc(1, excess**2 / (1 / n1 + 1 / n0))),
        class_v_more_on_tacrolimus=excess > 0,
    )


def meets_print(balance: Balance, rule: AssignmentModel) -> BoolArray:
    """Return which candidates look as the paper says, shape ``(k,)``."""
    return np.asarray(
        balance.class_v_more_on_tacrolimus
        & (balance.class_v_p_value < rule.balance_alpha)
        & (np.abs(balance.smd) <= rule.smd_cap).all(axis=0)
        & (balance.p_value >= rule.balance_alpha).all(axis=0)
    )


def draw_assigned(treated: int, untreated: int, model: PatientModel, random: np.random.Generator) -> AssignedBaseline:
    """Draw patients and arms until the arms look as the paper says.

    A set of ``treated + untreated`` patients is drawn from the source population; tacrolimus goes to the ``treated``
    patients with the highest logit plus logistic noise. The noise is drawn again, and after a batch of candidates the
    patients too, until pure class V is significantly more frequent on tacrolimus (Pearson) while no balance covariate
    differs significantly or by more than the cap on the standardised mean difference.

    Raises
    ------
    CalibrationError
        If no candidate meets the conditions.
    """
    size = treated + untreated
    for batch in range(_MOST_BATCHES):
        baseline = draw_baseline(size, model.baseline, model.laboratory, random)
        logit = assignment_logit(baseline, model.assignment)
        liking = logit[:, None] + random.logistic(size=(size, _BATCH))
        varying = (baseline.class_v, *baseline.balance_covariates().values())
        if any(len(np.unique(column)) < 2 for column in varying):
            continue
        tacrolimus = liking >= np.partition(liking, untreated, axis=0)[untreated]
        met = np.flatnonzero(meets_print(compare_arms(baseline, tacrolimus), model.assignment))
        if met.size:
            first = int(met[0])
            return AssignedBaseline(baseline, tacrolimus[:, first], logit, batch * _BATCH + first + 1)
    raise CalibrationError(
        f"none of {_MOST_BATCHES * _BATCH} draws has class V significantly more frequent on tacrolimus and all else "
        "similar",
        where="baseline",
        got=f"class V log odds ratio {model.assignment.class_v:g}, cap {model.assignment.smd_cap:g}",
        remedy="raise the class V coefficient or the cap, or lower the other coefficients",
    )
