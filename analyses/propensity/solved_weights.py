"""Weights and scores that are solved for so that covariates balance: entropy balancing and CBPS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyses.columns import BoolArray, FloatArray
from analyses.kernels.balancing_scores import (
    BalancingScore,
    Tilting,
    balancing_score_all,
    overidentified_score,
    tilt_to_totals,
)
from analyses.kernels.logistic import collinear_columns, fit_logistic, separated_columns
from analyses.propensity.weights import Estimand
from cohort.errors import AnalysisError, UsageError

SOLVED_ESTIMANDS: tuple[Estimand, ...] = ("ATE", "ATT", "ATC")
"""Populations whose covariate means the balancing methods can reach."""


@dataclass(frozen=True, slots=True, eq=False)
class SolvedWeights:
    """Weights solved for directly, without a score.

    Parameters
    ----------
    values
        Shape (n,). In each arm they sum to the size of the population balanced to.
    gradient, influence
        Shape (n, q), see :class:`EstimatedWeights`.
    """

    values: FloatArray
    gradient: FloatArray
    influence: FloatArray

    def factor(self, treated: BoolArray, *, estimand: Estimand, stabilized: bool, trim: float | None) -> FloatArray:
        """Return what stabilising multiplies each weight by, shape (n,).

        Raises
        ------
        UsageError
            Asked to trim by a score there is not, or to stabilise other than ATE weights.
        """
        if stabilized and estimand != "ATE":
            raise UsageError(
                "only ATE weights can be stabilised", where="weights", got=estimand, remedy="leave stabilized=False"
            )
        if trim is not None:
            raise UsageError(
                "entropy balancing has no score to trim by",
                where="weights",
                got=f"trim={trim}",
                remedy="use truncate, or fit method='cbps'",
            )
        return np.where(treated, treated.mean(), 1 - treated.mean()) if stabilized else np.ones(len(treated))


def entropy_balance(
    design: FloatArray, terms: Sequence[str], treated: BoolArray, arms: tuple[str, str], estimand: Estimand, where: str
) -> SolvedWeights:
    """Weight each arm that is not the target to the covariate means of the target.

    Parameters
    ----------
    design, terms
        Shape (n, p), with its intercept; names of the columns.
    treated, arms
        Shape (n,); names of the treated and the reference arm.
    estimand
        ``ATE`` weights both arms to all patients, ``ATT`` the reference arm to the treated, ``ATC`` the reverse.
    where
        For messages.

    Returns
    -------
    SolvedWeights
        Covariate means of the weighted arms equal those of the target to rounding.

    Raises
    ------
    AnalysisError
        A term that is constant within an arm, or means that no positive weights of an arm reach (terms named).

    References
    ----------
    Hainmueller J. Polit Anal 2012;20:25-46. doi:10.1093/pan/mpr025. Zhao Q, Percival D. Entropy balancing is doubly
    robust. J Causal Inference 2017;5:20160010. doi:10.1515/jci-2016-0010
    """
    target = {"ATE": np.ones(len(design), dtype=np.bool_), "ATT": treated, "ATC": ~treated}[estimand]
    values = np.where(target, 1.0, 0.0)
    gradients, influences = [], []
    for arm, own in zip(arms, (treated, ~treated), strict=True):
        if estimand != "ATE" and bool(np.array_equal(own, target)):
            continue
        tilted = _tilted(design, terms, own, target, arm, where)
        values[own] = tilted.weights
        moments = np.where(target, -1.0, 0.0)[:, None] * design
        moments[own] += tilted.weights[:, None] * design[own]
        gradient = np.zeros_like(design)
        gradient[own] = tilted.weights[:, None] * design[own]
        gradients.append(gradient)
        influences.append(-_solve_rows(tilted.hessian, moments))
    return SolvedWeights(values, np.hstack(gradients), np.hstack(influences))


def covariate_balancing_score(
    design: FloatArray,
    terms: Sequence[str],
    treated: BoolArray,
    arms: tuple[str, str],
    estimand: Estimand,
    *,
    overidentified: bool,
    where: str,
) -> BalancingScore:
    """Fit a logistic score to covariate balance, alone or together with its likelihood equations.

    Arguments and errors are those of :func:`entropy_balance`, whose weights the just-identified score reproduces for
    ``ATT`` and ``ATC``; for ``ATE`` it gives both arms the same weighted totals.

    Raises
    ------
    AnalysisError
        Covariates that separate the arms, or means that no odds weights of an arm reach (terms named).

    References
    ----------
    Imai K, Ratkovic M. J R Stat Soc B 2014;76:243-263. doi:10.1111/rssb.12027
    """
    if overidentified:
        flipped = treated if estimand != "ATC" else ~treated
        first = fit_logistic(design, flipped.astype(np.float64))
        if first.converged:
            target = "all" if estimand == "ATE" else "treated"
            fit = overidentified_score(design, flipped, first.coefficients, target=target)
            if fit.converged:
                return fit if estimand != "ATC" else _flipped(fit)
        raise _no_finite_score(design, terms, treated, where)
    if estimand == "ATE":
        fit = balancing_score_all(design, treated)
        if not fit.converged:
            raise _no_finite_score(design, terms, treated, where)
        return fit
    target_rows = treated if estimand == "ATT" else ~treated
    tilted = _tilted(design, terms, ~target_rows, target_rows, arms[1] if estimand == "ATT" else arms[0], where)
    moments = np.where(target_rows, -1.0, 0.0)[:, None] * design
    moments[~target_rows] += tilted.weights[:, None] * design[~target_rows]
    odds = np.exp(design @ tilted.coefficients)
    fit = BalancingScore(tilted.coefficients, -_solve_rows(tilted.hessian, moments), odds / (1 + odds), 0.0, 0, True)
    return fit if estimand == "ATT" else _flipped(fit)


def _flipped(fit: BalancingScore) -> BalancingScore:
    """Return the score of the other arm."""
    return BalancingScore(
        -fit.coefficients, -fit.influence, 1 - fit.probability, fit.statistic, fit.degrees_of_freedom, fit.converged
    )


def _solve_rows(hessian: FloatArray, rows: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(hessian, rows.T).T)


def _tilted(
    design: FloatArray, terms: Sequence[str], own: BoolArray, target: BoolArray, arm: str, where: str
) -> Tilting:
    inside = design[own]
    stuck = collinear_columns(inside)
    if stuck:
        raise AnalysisError(
            f"constant or a combination of the other terms within the arm {arm}, whose weights cannot move it",
            where=where,
            got=", ".join(terms[index] for index in stuck),
            remedy="leave these terms out, merge sparse levels, or restrict to patients eligible for both treatments",
        )
    totals = design[target].sum(axis=0)
    tilted = tilt_to_totals(inside, totals)
    if tilted.converged:
        return tilted
    everybody, nobody = np.ones(len(inside), dtype=np.bool_), np.zeros(len(inside), dtype=np.bool_)
    centred = inside[:, 1:] - totals[1:] / totals[0]
    # Means outside the range of a single term say it most plainly; failing that, a combination of terms is beyond.
    alone = np.flatnonzero((centred.min(axis=0) >= 0) | (centred.max(axis=0) <= 0))
    beyond = tuple(alone.tolist()) or separated_columns(centred, nobody, everybody)
    raise AnalysisError(
        f"no positive weights of the arm {arm} reach the covariate means asked for",
        where=where,
        got=", ".join(terms[1 + index] for index in beyond) or "means at the edge of what the arm has",
        remedy="leave these terms out, restrict to patients eligible for both treatments, or use ATO weights of a "
        "logistic score",
    )


def _no_finite_score(design: FloatArray, terms: Sequence[str], treated: BoolArray, where: str) -> AnalysisError:
    separated = separated_columns(design, ~treated, treated)
    return AnalysisError(
        "the covariates separate the arms, so the score has no finite estimate",
        where=where,
        got=", ".join(terms[index] for index in separated) or "fitted probabilities of 0 or 1",
        remedy="merge sparse levels, leave the term out, or restrict to patients eligible for both treatments",
    )
