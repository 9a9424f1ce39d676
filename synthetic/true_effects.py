"""True marginal effects of treatment, computed in three independent ways.

``quadrature`` integrates over quasi-random patients, with arms and death as probabilities; ``draw`` averages over an
independent pseudo-random population; ``average`` over potential outcomes that were drawn for another purpose, such as
the ``truth/`` tables of a cohort directory. They agree within Monte Carlo error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.errors import UsageError
from cohort.seeds import SeedTree
from synthetic.assignment import arm_probabilities, tacrolimus_logit
from synthetic.baseline import draw_covariates
from synthetic.calendar import draw_visit_days, schedule
from synthetic.calibrate import SEED
from synthetic.course import draw_noise, poor_outcome_hazard_ratio
from synthetic.effect_table import effect_table
from synthetic.estimands import Comparisons, comparisons_of
from synthetic.quadrature import integrate
from synthetic.setting import Setting
from synthetic.tally import Tally
from synthetic.true_values import carried_effects
from synthetic.truth import PotentialOutcomes, potential_outcomes

FloatArray = npt.NDArray[np.float64]

GROUPS = 64
"""Groups of patients of the jackknife behind standard errors, which therefore have about 63 degrees of freedom."""
BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A quadrature over ``scramblings`` sets of ``2**power`` quasi-random patients."""

    power: int
    scramblings: int


CARRIED = Accuracy(power=16, scramblings=32)
"""Behind the carried values."""
QUICK = Accuracy(power=13, scramblings=8)
"""Where no values are carried: made while a cohort is generated."""


class Way(StrEnum):
    """How true effects are computed."""

    QUADRATURE = "quadrature"
    DRAW = "draw"
    AVERAGE = "average"


def true_effects(
    setting: Setting, *, way: Way | str = Way.QUADRATURE, patients: int = 2**20, seed: int = 2025
) -> pd.DataFrame:
    """Return the true effects of a setting.

    Parameters
    ----------
    setting
        Design, model and calibrated constants.
    way
        ``"quadrature"`` (carried values where there are any) or ``"draw"``.
    patients, seed
        Size of the population drawn, and root of its streams, which no cohort shares; with ``"draw"`` only.

    Returns
    -------
    pandas.DataFrame
        One row per estimand, in the columns of the table ``truth/estimands``: ``estimand, population, measure, month,
        contrast, value, std_error, way, note``. Restricted means are in years; ``std_error`` is that of a grouped
        jackknife, over scramblings or groups of patients. A quadrature adds rows of the population ``assessed``: what
        unadjusted comparisons of responses tend to. Without a second arm there are no rows.

    Raises
    ------
    UsageError
        If the way is unknown or averages over no patients.
    """
    if way not in (Way.QUADRATURE, Way.DRAW):
        raise UsageError(
            "no such way to compute true effects of a setting",
            where="way",
            got=repr(str(way)),
            remedy="choose quadrature or draw; average_effects takes potential outcomes",
        )
    comparisons = comparisons_of(setting.design, setting.model)
    if way == Way.DRAW:
        return average_effects(comparisons, _draw(setting, patients, SeedTree(seed).child("truth")), way=Way.DRAW)
    carried = carried_effects(setting.design, setting.model)
    return solve_effects(setting, QUICK) if carried is None else carried


def solve_effects(setting: Setting, accuracy: Accuracy) -> pd.DataFrame:
    """Integrate anew, carried values or not; see :func:`true_effects`.

    The points are not those on which the constants were calibrated, whose deviations calibration has absorbed.
    """
    seeds = range(SEED + 1, SEED + 1 + accuracy.scramblings)
    found = integrate(setting, accuracy.power, seeds)
    return effect_table(comparisons_of(setting.design, setting.model), found.everybody, Way.QUADRATURE, found.assessed)


def average_effects(
    comparisons: Comparisons,
    samples: Iterable[tuple[PotentialOutcomes, FloatArray]],
    *,
    way: Way = Way.AVERAGE,
) -> pd.DataFrame:
    """Average over potential outcomes, in memory that does not depend on how many patients there are.

    Parameters
    ----------
    comparisons
        Arms, visits and horizon.
    samples
        Potential outcomes of some patients under every arm, and their probabilities of the arms, ``(n, arms)``.
    way
        What the column ``way`` says.

    Returns
    -------
    pandas.DataFrame
        As :func:`true_effects`. The standard error is that of an estimate of the effect in the population the patients
        were drawn from; missing with fewer than two patients.

    Raises
    ------
    UsageError
        If there are no patients.
    """
    tally = Tally(comparisons, GROUPS)
    for outcomes, probability in samples:
        tally.add(outcomes, probability)
    if tally.patients == 0:
        raise UsageError("no patients to average over", where="potential outcomes", remedy="give at least one")
    return effect_table(comparisons, tally.sums, way)


def _draw(setting: Setting, patients: int, tree: SeedTree) -> Iterator[tuple[PotentialOutcomes, FloatArray]]:
    """Draw blocks of patients with nothing but their potential outcomes and probabilities."""
    design, model, calibration = setting.design, setting.model, setting.calibration
    plan = schedule(design.months, model.calendar)
    for block, first in enumerate(range(0, patients, BLOCK)):
        size, own = min(BLOCK, patients - first), tree.child("block", block)
        covariates = draw_covariates(size, model, own.child("baseline").generator())
        calendar = own.child("calendar").generator()
        visit_day = draw_visit_days(size, plan, model.calendar, calendar)
        relative = poor_outcome_hazard_ratio(covariates, model.course)
        start = np.zeros(size, dtype=np.int64)
        death_day = calibration.mortality.day_after(start, visit_day, relative, calendar)
        noise = draw_noise(covariates, len(design.months), model.course, own.child("response").generator())
        logit = tacrolimus_logit(covariates, model, randomised=design.randomised)
        yield (
            potential_outcomes(covariates, noise, visit_day, death_day, calibration, model),
            arm_probabilities(logit, calibration.intercepts, design.tacrolimus),
        )
