"""What is estimated: a measure, the way two arms are compared in it, and the patients it is averaged over.

Only marginal estimands: each compares the distribution of outcomes under one arm with that under another, and none
depends on how the potential outcomes of one patient go together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.errors import UsageError
from cohort.record import Measure
from cohort.response import IntArray
from cohort.schema import TRUTH_ESTIMANDS
from synthetic.calendar import schedule
from synthetic.design import Design
from synthetic.model import PatientModel

FloatArray = npt.NDArray[np.float64]


class TargetPopulation(StrEnum):
    """Whom a contrast of an arm ``k`` with the reference arm ``r`` is averaged over.

    A patient with probabilities ``e`` of the arms weighs 1 (``ATE``), ``e_k`` (``ATT``: the patients who get arm ``k``)
    or ``e_k e_r / (e_k + e_r)`` (``ATO``). With two arms the last is ``e (1 - e)``, the overlap weight of Li, Morgan
    and Zaslavsky (2018), doi:10.1080/01621459.2016.1260466; with more it is the overlap weight among the patients who
    get one of the two.
    """

    ATE = "ATE"
    ATT = "ATT"
    ATO = "ATO"


ASSESSED = "assessed"
"""Stands for a target population where each arm is averaged over its own patients assessed at the visit: no estimand,
but what an unadjusted comparison tends to."""

RESPONSES: tuple[Measure, ...] = (Measure.COMPLETE_RESPONSE, Measure.OVERALL_RESPONSE)
"""Measured at every scheduled visit, as if nobody died."""
ENDPOINTS: tuple[Measure, ...] = (Measure.FLARE_FREE_SURVIVAL, Measure.POOR_OUTCOME)
"""Times to a first event: flare, kidney failure or death; and kidney failure or death."""
RESPONSE_CONTRASTS: tuple[str, ...] = ("risk", "reference_risk", "risk_difference", "risk_ratio", "odds_ratio")
ENDPOINT_CONTRASTS: tuple[str, ...] = (
    "restricted_mean",
    "reference_restricted_mean",
    "restricted_mean_difference",
    "hazard_ratio",
)
INCIDENCE_CONTRASTS: tuple[str, ...] = (
    "cumulative_incidence",
    "reference_cumulative_incidence",
    "cumulative_incidence_difference",
)


@dataclass(frozen=True, slots=True)
class Estimand:
    """One marginal estimand.

    Parameters
    ----------
    measure
        Complete or overall response at a visit, first renal flare, or one of the two times to a first event.
    estimand
        ``risk_difference`` and so on: one of the names in the column ``estimand`` of the truth tables.
    population
        Whom it is averaged over: a :class:`TargetPopulation`, or ``assessed``.
    contrast
        ``level v reference``, as in result tables.
    month
        Scheduled month; for times to an event the last one.
    """

    measure: Measure
    estimand: str
    population: str
    contrast: str
    month: int


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The comparisons of a design: arms, the last being the reference, with scheduled months and days, ``(v,)``."""

    arms: tuple[str, ...]
    months: tuple[int, ...]
    days: IntArray

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Every arm against the reference, in the order of arms."""
        return tuple(f"{arm} v {self.arms[-1]}" for arm in self.arms[:-1])

    @property
    def horizon(self) -> int:
        """Nominal day of the last scheduled visit, at which times to an event are cut."""
        return int(self.days[-1])

    def estimands(self) -> Iterator[Estimand]:
        """Yield every estimand: by contrast, population, then responses by visit, endpoints and flares by visit."""
        for contrast in self.contrasts:
            for population in TargetPopulation:
                yield from self._responses(population, contrast)
                for measure in ENDPOINTS:
                    for name in ENDPOINT_CONTRASTS:
                        yield Estimand(measure, name, population, contrast, self.months[-1])
                for month in self.months:
                    for name in INCIDENCE_CONTRASTS:
                        yield Estimand(Measure.RENAL_FLARE, name, population, contrast, month)

    def crude(self) -> Iterator[Estimand]:
        """Yield what unadjusted comparisons of responses tend to: by contrast, measure and visit."""
        for contrast in self.contrasts:
            yield from self._responses(ASSESSED, contrast)

    def _responses(self, population: str, contrast: str) -> Iterator[Estimand]:
        for measure in RESPONSES:
            for month in self.months:
                for name in RESPONSE_CONTRASTS:
                    yield Estimand(measure, name, population, contrast, month)


def comparisons_of(design: Design, model: PatientModel) -> Comparisons:
    """Return the comparisons of ``design`` at the nominal days of its visits."""
    days = schedule(design.months, model.calendar).day
    return Comparisons(tuple(design.arms.tolist()), tuple(design.months.tolist()), days)


def population_weights(probability: FloatArray, arm: int, population: TargetPopulation) -> FloatArray:
    """Return the weight of each patient in the contrast of ``arm`` with the reference, shape ``(n,)``.

    Parameters
    ----------
    probability
        Each patient's probability of each arm, the reference last, shape ``(n, arms)``.
    arm
        Position of the arm.
    population
        Whom the contrast is averaged over.

    Examples
    --------
    >>> population_weights(np.array([[0.5, 0.5], [0.2, 0.8]]), 0, TargetPopulation.ATO).round(2).tolist()
    [0.25, 0.16]
    """
    if population is TargetPopulation.ATE:
        return np.ones(len(probability))
    own, reference = probability[:, arm], probability[:, -1]
    return own if population is TargetPopulation.ATT else np.asarray(own * reference / (own + reference))


def true_value(table: pd.DataFrame, wanted: Estimand) -> float:
    """Return the value of an estimand in a table of true effects; NaN where the table says it is undefined.

    Raises
    ------
    UsageError
        If the table has no such row, or more than one.
    """
    rows = table
    for name in TRUTH_ESTIMANDS.key:
        rows = rows[rows[name] == getattr(wanted, name)]
    if len(rows) != 1:
        raise UsageError(
            "no such estimand" if rows.empty else "more than one row for an estimand",
            where="table truth/estimands",
            got=", ".join(f"{name} {getattr(wanted, name)}" for name in TRUTH_ESTIMANDS.key),
            remedy="give the table of one cohort, and an estimand that it lists",
        )
    return float(rows["value"].iloc[0])


def response_bias(table: pd.DataFrame) -> pd.DataFrame:
    """Return by how much an unadjusted difference of response rates misses the true effect.

    Parameters
    ----------
    table
        True effects by quadrature, which hold rows of the population ``assessed``.

    Returns
    -------
    pandas.DataFrame
        One row per measure, month, contrast and target population: ``measure, month, contrast, population, crude,
        effect, bias``; ``bias`` is ``crude - effect``. It comes from confounding, and from who is assessed: the dead
        are not, while effects are those on responses as if nobody died.

    Raises
    ------
    UsageError
        If the table has no rows of the population ``assessed``.
    """
    differences = table[table["estimand"] == "risk_difference"]
    observed = differences["population"] == ASSESSED
    if not observed.any() and len(table):
        raise UsageError(
            "no crude differences",
            where="table truth/estimands, column population",
            got=", ".join(sorted(table["population"].unique())),
            remedy="give the table of a quadrature",
        )
    cell = ["measure", "month", "contrast"]
    crude = differences.loc[observed, [*cell, "value"]].rename(columns={"value": "crude"})
    effects = differences.loc[~observed, [*cell, "population", "value"]].rename(columns={"value": "effect"})
    both = effects.merge(crude, on=cell, validate="many_to_one")
    return both.assign(bias=both["crude"] - both["effect"])[[*cell, "population", "crude", "effect", "bias"]]
