"""Thresholds of the patient model at which expected response rates are the reconstructed ones.

Calibration walks a quasi-random population under each arm, weighted by the probability of that arm, and cuts the
latent scores of each visit at weighted quantiles. The thresholds are per arm: what differs between them, beyond what
confounding explains, is the effect of treatment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cohort.codes import DAYS_PER_MONTH
from cohort.errors import CalibrationError
from cohort.response import BoolArray, IntArray
from synthetic.assignment import assignment_logit
from synthetic.baseline import draw_covariates
from synthetic.course import COMPLETE, NO_RESPONSE, PARTIAL, draw_noise, flare_hazard, walk_course
from synthetic.cuts import Counts
from synthetic.model import PatientModel

FloatArray = npt.NDArray[np.float64]

_POWER = 18
"""Two to this power patients: the error of a quasi-random share is then far below one in a thousand."""
_SEED = 20_251_028
"""Scrambles the quasi-random points; a part of the calibration, not of any cohort."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibrated constants of one study and model.

    ``intercept`` is the assignment model's; ``share_assessed``, ``no_response_below`` and ``complete_from`` have shape
    ``(arms, v)``, the arm on tacrolimus first: the share of the arm assessed at each visit, and the latent scores below
    which there is no response and from which response is complete.
    """

    intercept: float
    share_assessed: FloatArray
    no_response_below: FloatArray
    complete_from: FloatArray


class QuasiRandom:
    """Hands out scrambled Sobol dimensions one after the other, as if drawn from a generator.

    Parameters
    ----------
    power
        Base-two logarithm of the number of points.
    dimensions
        How many columns will be asked for at most.
    seed
        Seed of the scrambling.
    """

    def __init__(self, power: int, dimensions: int, seed: int) -> None:
        from scipy.stats import qmc

        self._points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random_base2(power).T
        self._used = 0

    def random(self, size: int | tuple[int, ...]) -> FloatArray:
        """Return the next dimensions, each a value per patient; the last axis of ``size`` counts patients."""
        shape = (size,) if isinstance(size, int) else size
        rows = int(np.prod(shape[:-1], dtype=np.int64))
        taken = self._points[self._used : self._used + rows]
        self._used += rows
        return np.asarray(taken.reshape(shape))

    def standard_normal(self, size: int | tuple[int, ...]) -> FloatArray:
        """Return the next dimensions as standard normal values."""
        from scipy.special import ndtri

        return np.asarray(ndtri(self.random(size)))


@dataclass(frozen=True, slots=True)
class ThresholdCut:
    """Cuts at calibrated thresholds of the patient's arm; a responder without a flare never loses response.

    ``no_response_below`` and ``complete_from`` have shape ``(n, v)`` or ``(1, v)``.
    """

    no_response_below: FloatArray
    complete_from: FloatArray

    def __call__(
        self, visit: int, score: FloatArray, protected: BoolArray, _can_flare: BoolArray
    ) -> tuple[IntArray, BoolArray]:
        """Cut one visit; nobody is given a flare."""
        without = ~protected & (score < self.no_response_below[:, visit])
        state = np.where(score >= self.complete_from[:, visit], COMPLETE, PARTIAL)
        return np.where(without, NO_RESPONSE, state), np.zeros(len(score), dtype=bool)


class _QuantileCut:
    """Finds the thresholds of one arm while walking: weighted quantiles among those who can be in each state."""

    def __init__(self, none: FloatArray, complete: FloatArray, weight: FloatArray, where: str) -> None:
        self._none, self._complete, self._weight, self._where = none, complete, weight / weight.sum(), where
        self.no_response_below = np.empty(len(none))
        self.complete_from = np.empty(len(none))

    def __call__(
        self, visit: int, score: FloatArray, protected: BoolArray, _can_flare: BoolArray
    ) -> tuple[IntArray, BoolArray]:
        below = _weighted_threshold(score, np.where(protected, 0.0, self._weight), float(self._none[visit]))
        if below is None:
            raise CalibrationError(
                "too few flares: non-responders rise faster than responders flare",
                where=f"{self._where}, visit {visit + 1}",
                got=f"a share of {self._none[visit]:.3f} without response",
                remedy="raise the flare rate or the share of response before",
            )
        without = ~protected & (score < below)
        responding = np.where(without, 0.0, self._weight)
        wanted = float(responding.sum() - self._complete[visit])
        above = _weighted_threshold(score, responding, wanted)
        self.no_response_below[visit] = below
        self.complete_from[visit] = -np.inf if above is None else above
        state = np.where(score >= self.complete_from[visit], COMPLETE, PARTIAL)
        return np.where(without, NO_RESPONSE, state), np.zeros(len(score), dtype=bool)


def calibrate(arm_sizes: tuple[int, int], months: IntArray, counts: Counts, model: PatientModel) -> Calibration:
    """Solve the constants of population mode.

    Parameters
    ----------
    arm_sizes
        Patients with and without tacrolimus.
    months
        Months of the scheduled visits after day 0, shape ``(v,)``.
    counts
        Reconstructed counts, the arm on tacrolimus first.
    model
        Patient model.

    Raises
    ------
    CalibrationError
        If responders cannot turn into non-responders as fast as the counts ask, since too few flare.
    """
    from scipy.optimize import brentq
    from scipy.special import expit

    size, visits = 2**_POWER, len(months)
    source = QuasiRandom(_POWER, _dimensions(visits), _SEED)
    covariates = draw_covariates(size, model.baseline, source)
    noise = draw_noise(covariates, visits, model.course, source)
    logit = assignment_logit(covariates, model.assignment)
    share = arm_sizes[0] / sum(arm_sizes)
    intercept = brentq(lambda value: float(expit(logit + value).mean()) - share, -30.0, 30.0, xtol=1e-12)
    propensity = expit(logit + intercept)
    hazard = flare_hazard(covariates, model.course)
    nominal = np.rint(months * DAYS_PER_MONTH).astype(np.int64)
    visit_day = np.broadcast_to(nominal, (size, visits))
    cuts = []
    for position, weight in enumerate((propensity, 1.0 - propensity)):
        assessed = counts.assessed[position]
        cut = _QuantileCut(
            counts.none[position] / assessed, counts.complete[position] / assessed, weight, f"arm {position}"
        )
        walk_course(noise, hazard, visit_day, cut, model.course)
        cuts.append(cut)
    return Calibration(
        intercept=float(intercept),
        share_assessed=counts.assessed / np.asarray(arm_sizes)[:, None],
        no_response_below=np.stack([cut.no_response_below for cut in cuts]),
        complete_from=np.stack([cut.complete_from for cut in cuts]),
    )


def _dimensions(visits: int) -> int:
    """Severity, its eight correlates, six coins, the patient effect, and per visit a score, a flare and a day."""
    return 1 + 8 + 6 + 1 + 3 * visits


def _weighted_threshold(score: FloatArray, weight: FloatArray, wanted: float) -> float | None:
    """Return the score below which the weights sum to ``wanted``; ``None`` if they do not reach it."""
    eligible = np.flatnonzero(weight > 0)
    order = eligible[np.argsort(score[eligible], kind="stable")]
    total = np.cumsum(weight[order])
    place = int(np.searchsorted(total, wanted, side="left"))
    if place >= len(order):
        return None
    # Between the last score that must lie below and the next one, so that neither sits on the threshold.
    before = score[order[place - 1]] if place else score[order[0]] - 1.0
    return float((before + score[order[place]]) / 2)
