"""The table of true effects: every estimand as a function of sums over potential outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from cohort.schema import TRUTH_ESTIMANDS
from synthetic.estimands import ENDPOINTS, Comparisons, TargetPopulation
from synthetic.event_curves import cox_limit, restricted_mean_years
from synthetic.tally import FLARE, AssessedSums, Sums

FloatArray = npt.NDArray[np.float64]

_Stack = TypeVar("_Stack", Sums, AssessedSums)

_UNDEFINED = {
    "risk_ratio": "the reference risk is 0",
    "odds_ratio": "the reference risk is 0 or 1, or the risk is 1",
    "hazard_ratio": "an arm has no event while somebody is at risk in the other",
}


def effect_table(
    comparisons: Comparisons, groups: Sums, way: str, assessed: AssessedSums | None = None
) -> pd.DataFrame:
    """Lay out true effects in the columns of ``truth/estimands``.

    Parameters
    ----------
    comparisons
        Arms, visits and horizon.
    groups
        Sums of groups of patients, stacked: values are those of all groups together. Standard errors are those of a
        grouped jackknife, missing with a single group or where a value is undefined without one of the groups.
    way
        How they were computed.
    assessed
        As ``groups``, over the patients assessed in their own arms; without it there are no rows of crude contrasts.
    """
    wanted, value, error = [*comparisons.estimands()], *_jackknife(comparisons, groups, _effects)
    if assessed is not None:
        crude, crude_error = _jackknife(comparisons, assessed, _crude)
        wanted = [*wanted, *comparisons.crude()]
        value, error = np.concatenate([value, crude]), np.concatenate([error, crude_error])
    columns = {name: [str(getattr(row, name)) for row in wanted] for name in TRUTH_ESTIMANDS.key}
    frame = pd.DataFrame(columns, dtype="string").astype({"month": np.int64})
    undefined = [
        _UNDEFINED[row.estimand] if np.isnan(found) else None for row, found in zip(wanted, value, strict=True)
    ]
    frame = frame.assign(value=value, std_error=error, way=pd.array([str(way)] * len(frame), dtype="string"))
    return frame.assign(note=pd.array(undefined, dtype="string"))[list(TRUTH_ESTIMANDS.column_names)]


def _jackknife(
    comparisons: Comparisons, groups: _Stack, values: Callable[[Comparisons, _Stack], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    total = groups.total()
    value, number = values(comparisons, total), len(groups.weight)
    if number < 2:
        return value, np.full(len(value), np.nan)
    left_out = np.stack([values(comparisons, groups.without(total, group)) for group in range(number)])
    error = np.sqrt((number - 1) / number * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    return value, np.where(np.isnan(value), np.nan, error)


def _effects(comparisons: Comparisons, sums: Sums) -> FloatArray:
    """Return the value of each estimand, in the order of :meth:`Comparisons.estimands`."""
    found: list[float] = []
    for row in range(len(comparisons.contrasts)):
        for column in range(len(TargetPopulation)):
            weight = sums.weight[row, column]
            found += _responses(*(sums.responders[row, column] / weight))
            mass = sums.events[row, column] / weight
            for endpoint in range(len(ENDPOINTS)):
                found += _time_to_event(*mass[:, endpoint])
            incidence = mass[:, FLARE].cumsum(axis=-1)[:, comparisons.days]
            for one, other in incidence.T.tolist():
                found += (one, other, one - other)
    return np.asarray(found, dtype=np.float64)


def _crude(comparisons: Comparisons, sums: AssessedSums) -> FloatArray:
    """Return what each unadjusted comparison tends to, in the order of :meth:`Comparisons.crude`."""
    risk = sums.responders / sums.weight[:, None, :]
    found = [value for row in range(len(comparisons.contrasts)) for value in _responses(risk[row], risk[-1])]
    return np.asarray(found, dtype=np.float64)


def _responses(risk: FloatArray, reference: FloatArray) -> list[float]:
    """Return the contrasts of risks of shape ``(measures, v)``, cell by cell."""
    cells = zip(risk.ravel().tolist(), reference.ravel().tolist(), strict=True)
    return [value for one, other in cells for value in _response(one, other)]


def _response(risk: float, reference: float) -> tuple[float, ...]:
    ratio = risk / reference if reference > 0 else np.nan
    odds_ratio = risk * (1 - reference) / ((1 - risk) * reference) if 0 < reference < 1 and risk < 1 else np.nan
    return risk, reference, risk - reference, ratio, odds_ratio


def _time_to_event(mass: FloatArray, reference: FloatArray) -> tuple[float, ...]:
    mean, reference_mean = restricted_mean_years(mass), restricted_mean_years(reference)
    return float(mean), float(reference_mean), float(mean - reference_mean), cox_limit(mass, reference)
