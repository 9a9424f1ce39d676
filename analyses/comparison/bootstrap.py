"""Bootstrap of weighted contrasts in which every replicate estimates its own score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from analyses.columns import BoolArray, FloatArray, TextArray
from analyses.kernels.cox_replicates import fit_replicates
from analyses.kernels.event_replicates import incidence_replicates, restricted_mean_replicates
from analyses.kernels.logistic_batch import fit_logistic_batch
from analyses.kernels.probability_interval import normal_quantile
from analyses.propensity.weights import Estimand, balancing_weights
from cohort.errors import UsageError

IntArray = npt.NDArray[np.intp]
Interval = Literal["percentile", "normal"]
Key = tuple[str, str, float]
"""Statistic, group or contrast, and time (NaN without) of a result row."""
LOG_SCALE = ("risk_ratio", "odds_ratio")
"""Statistics whose replicates are held as logarithms."""
_FEWEST = 100
_ROUNDING = 1e-12
"""Replicates that differ by less are the same number, summed in another order."""

_LARGEST_LOST = 0.1
"""Share of replicates without estimate above which the spread of the others is not that of the estimator."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreReplicates:
    """Resampled patients with the weights of scores estimated anew; ``b`` replicates of ``n`` patients.

    Parameters
    ----------
    copies
        Shape (b, n), how often each patient was drawn.
    weights
        Shape (b, n), balancing weight of a patient, not times copies; 0 throughout a replicate whose score has no
        finite estimate.
    """

    copies: IntArray
    weights: FloatArray

    @property
    def mass(self) -> FloatArray:
        """Weights times copies, shape (b, n)."""
        return np.asarray(self.weights * self.copies)


def draw_copies(patients: TextArray, *, replicates: int, seed: int) -> IntArray:
    """Draw patients with replacement, shape (b, n).

    The draws belong to patients in the text order of their identifiers, so that they do not depend on the row order.

    Raises
    ------
    UsageError
        Fewer than 100 replicates.

    Examples
    --------
    >>> draw_copies(np.array(["b", "a"]), replicates=100, seed=1).sum(axis=1).max()
    np.int64(2)
    """
    if replicates < _FEWEST:
        raise UsageError(
            f"a bootstrap needs at least {_FEWEST} replicates",
            where="replicates",
            got=str(replicates),
            remedy="use 500 for a standard error, 2000 for percentiles",
        )
    size = len(patients)
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=replicates)
    copies = np.empty_like(drawn)
    copies[:, np.argsort(patients, kind="stable")] = drawn
    return copies.astype(np.intp)


def score_replicates(
    design: FloatArray,
    treated: BoolArray,
    copies: IntArray,
    *,
    estimand: Estimand,
    trim: float | None = None,
    start: FloatArray | None = None,
) -> ScoreReplicates:
    """Estimate the logistic score in each replicate and turn it into weights.

    Parameters
    ----------
    design
        Shape (n, p), intercept included.
    treated
        Shape (n,).
    copies
        Shape (b, n).
    estimand, trim
        As of :func:`analyses.propensity.weights.balancing_weights`.
    start
        Coefficients to start from.
    """
    fit = fit_logistic_batch(design, treated.astype(np.float64), copies.astype(np.float64), start=start)
    weights = np.zeros(copies.shape)
    score = fit.probability(design)[fit.converged]
    # Patients that were not drawn may have a score of 0 or 1: they have no weight anyway.
    inside = np.clip(score, 1e-300, np.nextafter(1.0, 0.0)).ravel()
    everybody = np.tile(treated, len(score))
    found = balancing_weights(inside, everybody, estimand=estimand, trim=trim).values
    weights[fit.converged] = np.where(copies[fit.converged] > 0, found.reshape(score.shape), 0.0)
    return ScoreReplicates(copies, weights)


def rate_replicates(
    outcome: FloatArray, treated: BoolArray, mass: FloatArray, *, arms: tuple[str, str], time: float
) -> Iterator[tuple[Key, FloatArray]]:
    """Yield the replicates of the five rows of a binary outcome; ``mass`` (b, rows)."""
    contrast = f"{arms[0]} v {arms[1]}"
    with np.errstate(divide="ignore", invalid="ignore"):
        one, zero = ((mass[:, own] @ outcome[own]) / mass[:, own].sum(axis=1) for own in (treated, ~treated))
        yield ("proportion", arms[0], time), one
        yield ("proportion", arms[1], time), zero
        yield ("risk_difference", contrast, time), one - zero
        yield ("risk_ratio", contrast, time), np.log(one / zero)
        yield ("odds_ratio", contrast, time), np.log(one / (1 - one) / (zero / (1 - zero)))


def event_replicates(
    durations: FloatArray,
    causes: IntArray,
    treated: BoolArray,
    drawn: ScoreReplicates,
    *,
    arms: tuple[str, str],
    tau: float | None,
    times: FloatArray,
    cause: int | None,
) -> Iterator[tuple[Key, FloatArray]]:
    """Yield the replicates of the rows of a time to event: hazard ratio, restricted means, curves."""
    contrast, mass = f"{arms[0]} v {arms[1]}", drawn.mass
    cox = fit_replicates(
        treated[:, None].astype(np.float64), durations, causes > 0, copies=drawn.copies, weights=drawn.weights
    )
    yield ("log_hazard_ratio", contrast, np.nan), cox.coefficients[:, 0]
    members = dict(zip(arms, (treated, ~treated), strict=True))
    if tau is not None:
        one, zero = (
            restricted_mean_replicates(durations[own], causes[own] > 0, mass[:, own], horizon=tau)
            for own in members.values()
        )
        yield ("restricted_mean", arms[0], tau), one
        yield ("restricted_mean", arms[1], tau), zero
        yield ("restricted_mean_difference", contrast, tau), one - zero
    if not len(times):
        return
    statistic = "survival" if cause is None else "cumulative_incidence"
    curves = []
    for name, own in members.items():
        coded = (causes[own] > 0).astype(np.intp) if cause is None else causes[own]
        curve = incidence_replicates(
            durations[own], coded, mass[:, own], cause=1 if cause is None else cause, times=times
        )
        curves.append(1 - curve if cause is None else curve)
        for place, time in enumerate(times.tolist()):
            yield (statistic, name, time), curves[-1][:, place]
    for place, time in enumerate(times.tolist()):
        yield (f"{statistic}_difference", contrast, time), curves[0][:, place] - curves[1][:, place]


def summarised(
    row: dict[str, object], values: FloatArray, *, interval: Interval, conf_level: float
) -> dict[str, object]:
    """Return the columns of a result row that a bootstrap replaces.

    Parameters
    ----------
    row
        With its ``statistic`` and ``estimate``.
    values
        Shape (b,), replicates, of the logarithm for ratios; not finite where a replicate has no estimate.
    interval
        ``percentile`` of the replicates, or ``normal``: estimate and standard deviation of the replicates, on the log
        scale for ratios.
    conf_level
        Of the interval.

    Returns
    -------
    dict
        ``std_error, conf_low, conf_high, p_value`` (normal, for contrasts) and ``note`` where replicates were lost; no
        interval when more than a tenth were.
    """
    usable = values[np.isfinite(values)]
    blank: dict[str, object] = {"std_error": np.nan, "conf_low": np.nan, "conf_high": np.nan, "p_value": np.nan}
    lost = len(values) - len(usable)
    words = f"{lost} of {len(values)} replicates without estimate" if lost else ""
    notes = "; ".join(str(text) for text in (row.get("note"), words) if isinstance(text, str) and text) or None
    if lost > _LARGEST_LOST * len(values):
        return blank | {"note": f"{notes}: no interval"}
    error = float(np.std(usable, ddof=1))
    if not error > _ROUNDING * max(1.0, float(np.abs(usable).max())) or not np.isfinite(float(str(row["estimate"]))):
        return blank | {"note": notes or "no spread among the replicates: no interval"}
    is_log = row["statistic"] in LOG_SCALE
    carry = np.exp if is_log else np.asarray
    estimate = float(str(row["estimate"]))
    centre = float(np.log(estimate)) if is_log else estimate
    half = normal_quantile(conf_level) * error
    ends = np.array([centre - half, centre + half])
    if interval == "percentile":
        ends = np.quantile(usable, [(1 - conf_level) / 2, (1 + conf_level) / 2])
    low, high = carry(ends)
    found: dict[str, object] = {"std_error": error, "conf_low": float(low), "conf_high": float(high), "note": notes}
    contrasted = isinstance(row.get("contrast"), str)
    return found | {"p_value": float(2 * ndtr(-abs(centre) / error)) if contrasted else np.nan}
