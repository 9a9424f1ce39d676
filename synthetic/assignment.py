"""Treatment assignment with confounding by indication, conditioned on what the paper says of the arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.baseline import Baseline, Covariates, draw_baseline
from synthetic.design import Design
from synthetic.model import AssignmentModel, PatientModel

FloatArray = npt.NDArray[np.float64]

_BATCH = 128
_MOST_BATCHES = 400


@dataclass(frozen=True, slots=True)
class AssignedBaseline:
    """Baseline patients with their arm.

    ``arm`` (position) and ``tacrolimus`` have shape ``(n,)``; ``logit`` is the log odds of tacrolimus up to a
    constant, without the calendar term; ``draws`` counts the candidate assignments until one met the conditions.
    """

    baseline: Baseline
    arm: IntArray
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


def tacrolimus_logit(baseline: Covariates, model: PatientModel, *, randomised: bool) -> FloatArray:
    """Return the log odds of tacrolimus up to a constant, shape ``(n,)``: the confounding by indication and by centre.

    Zero for everybody if arms are ``randomised``. The calendar term acts through index dates and is not part of it.
    """
    rule = model.assignment
    if randomised:
        return np.zeros(baseline.size)
    indication = (
        rule.class_v * baseline.class_v
        + rule.log_upcr * np.log(baseline.upcr / 300.0) / rule.log_upcr_sd
        + rule.refractory * baseline.refractory
        + rule.latent_severity * baseline.latent_severity
    )
    return np.asarray(rule.strength * (indication + baseline.centre.practice))


def arm_probabilities(logit: FloatArray, intercepts: FloatArray, tacrolimus: BoolArray) -> FloatArray:
    """Return each patient's probability of each arm, shape ``(n, arms)``.

    Parameters
    ----------
    logit
        Log odds of tacrolimus up to a constant, shape ``(n,)``.
    intercepts, tacrolimus
        Constant of each arm and whether it takes tacrolimus, shape ``(arms,)``.
    """
    odds = np.exp(intercepts + np.where(tacrolimus, logit[:, None], 0.0))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def fixed_covariates(model: PatientModel) -> frozenset[str]:
    """Return the balance covariates that the model gives to everybody or nobody: arms cannot differ in them."""
    shares = ("female", "korean", "rheumatology_clinic", "hypertension", "diabetes")
    return frozenset(name for name in shares if getattr(model.baseline, name) in (0.0, 1.0))


def compare_arms(baseline: Baseline, tacrolimus: BoolArray, fixed: frozenset[str] = frozenset()) -> Balance:
    """Compare the balance covariates between the arms of candidate assignments.

    Parameters
    ----------
    baseline
        ``n`` patients; every balance covariate varies but the ``fixed`` ones.
    tacrolimus
        Candidate assignments, shape ``(n, k)``, all with the same number of treated patients.
    fixed
        Covariates left out, since they are the same for everybody.

    Returns
    -------
    Balance
        Welch t for numbers, Pearson chi-square (no continuity correction) for yes/no covariates and for pure class V.
    """
    from scipy.special import chdtrc, stdtr

    values = np.stack([column for name, column in baseline.balance_covariates().items() if name not in fixed])
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


def draw_assigned(
    design: Design, model: PatientModel, random: np.random.Generator, *, as_printed: bool
) -> AssignedBaseline:
    """Draw patients and arms of exactly the printed sizes.

    A set of patients is drawn from the source population. Arms are dealt by lot if the study was randomised or has
    more than two arms; otherwise tacrolimus goes to the patients with the highest logit plus logistic noise. If print
    says how the arms compare, the noise is drawn again, and after a batch of candidates the patients too, until pure
    class V is significantly more frequent on tacrolimus (Pearson) while no balance covariate differs significantly or
    by more than the cap on the standardised mean difference.

    Parameters
    ----------
    design
        Arms and sizes.
    model
        Patient model.
    random
        Stream to draw from.
    as_printed
        Whether the arms must compare as the flagship paper says.

    Raises
    ------
    CalibrationError
        If no candidate meets the conditions.
    """
    if not as_printed:
        baseline = draw_baseline(design.total, model, random)
        logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
        return _assigned(baseline, _deal(design, logit, random), logit, design, 1)
    treated, fixed = int(design.sizes[0]), fixed_covariates(model)
    constant: set[str] = set()
    for batch in range(_MOST_BATCHES):
        baseline = draw_baseline(design.total, model, random)
        logit = tacrolimus_logit(baseline, model, randomised=design.randomised)
        liking = logit[:, None] + random.logistic(size=(design.total, _BATCH))
        compared = {"pure class V": baseline.class_v, **baseline.balance_covariates()}
        constant = {name for name, column in compared.items() if name not in fixed and len(np.unique(column)) < 2}
        if constant:
            continue
        untreated = design.total - treated
        tacrolimus = liking >= np.partition(liking, untreated, axis=0)[untreated]
        met = np.flatnonzero(meets_print(compare_arms(baseline, tacrolimus, fixed), model.assignment))
        if met.size:
            first = int(met[0])
            arm = np.where(tacrolimus[:, first], 0, 1)
            return _assigned(baseline, arm, logit, design, batch * _BATCH + first + 1)
    if constant:
        raise CalibrationError(
            "covariates that print compares between the arms are the same for everybody",
            where="baseline",
            got=", ".join(sorted(constant)),
            remedy="bring the dials of [baseline] nearer to their defaults, or add --mode population",
        )
    raise CalibrationError(
        f"none of {_MOST_BATCHES * _BATCH} draws has class V significantly more frequent on tacrolimus and all else "
        "similar",
        where="baseline",
        got=f"assignment.strength {model.assignment.strength:g}, assignment.class_v {model.assignment.class_v:g}, "
        f"assignment.smd_cap {model.assignment.smd_cap:g}",
        remedy="bring the strength nearer to 1, raise class_v or smd_cap, lower the other coefficients, or add "
        "--mode population, which does not condition on the baseline",
    )


def _deal(design: Design, logit: FloatArray, random: np.random.Generator) -> IntArray:
    """Give every arm its size: those who like tacrolimus best get it, by lot where the logit is the same."""
    liking = logit + random.logistic(size=design.total)
    arm = np.empty(design.total, dtype=np.int64)
    arm[np.argsort(-liking, kind="stable")] = np.repeat(np.arange(len(design.sizes)), design.sizes)
    taking = np.flatnonzero(design.tacrolimus[arm])
    arm[taking] = random.permutation(arm[taking])
    others = np.flatnonzero(~design.tacrolimus[arm])
    arm[others] = random.permutation(arm[others])
    return arm


def _assigned(baseline: Baseline, arm: IntArray, logit: FloatArray, design: Design, draws: int) -> AssignedBaseline:
    return AssignedBaseline(baseline, arm, design.tacrolimus[arm], logit, draws)
