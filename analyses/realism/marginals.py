"""One number of the cohort beside the range of other cohorts, for baseline values and event rates."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import bdtr, chdtri, stdtrit

from analyses.columns import FloatArray
from analyses.datasets import DAYS_PER_YEAR, AnalysisData
from analyses.kernels.proportions import wilson_interval
from analyses.realism.borrowed import MEAN, MEDIAN, PROPORTION, RATE, Reference
from analyses.realism.ranges import RealismRanges
from analyses.realism.verdicts import Verdict, noted
from cohort.codes import Event

THIS_COHORT, BORROWED = "this cohort", "borrowed"
LEVEL = 0.95
LOW_EGFR = 90.0
"""Below it eGFR counts as reduced, in mL/min/1.73 m2, as the trial that printed the share did."""

_METHODS = {
    MEAN: "mean, t interval",
    MEDIAN: "median, order-statistic interval",
    PROPORTION: "proportion, Wilson interval",
    RATE: "events per 100 patient-years, exact Poisson interval",
}
Row = dict[str, object]


def marginal_rows(data: AnalysisData, ranges: RealismRanges) -> list[Row]:
    """Compare the cohort with the borrowed ranges.

    Parameters
    ----------
    data
        Analysis frames. Values that are missing are left out; ``n`` counts those observed.
    ranges
        Published values.

    Returns
    -------
    list of dict
        Rows of a result table. Per reference: one of the cohort (``population`` "this cohort") whose ``note`` opens
        with a :class:`~analyses.realism.verdicts.Verdict`; one of the range (``population`` "borrowed",
        ``statistic`` "range", its ends in ``conf_low`` and ``conf_high``); and those of each published value
        (``population`` the other cohort): the value with its 95 % limits, and ``sd`` or ``q1`` and ``q3``. Means and
        shares are of the start; the trough is the mean over patients of each one's mean level; events of a kind
        count as often as they come, flares as derived from laboratory values, over all follow-up.
    """
    rows: list[Row] = []
    for reference in ranges.references():
        rows.append(_cohort_row(data, reference))
        low, high = reference.range
        rows.append(_shared(reference, BORROWED) | {"statistic": "range", "conf_low": low, "conf_high": high})
        rows.extend(_published_rows(reference))
    return rows


def _shared(reference: Reference, population: str) -> Row:
    return {"population": population, "term": reference.term, "statistic": reference.statistic}


def _cohort_row(data: AnalysisData, reference: Reference) -> Row:
    row = _shared(reference, THIS_COHORT) | {"method": _METHODS[reference.statistic], "conf_level": LEVEL}
    if reference.statistic == RATE:
        events, years = _event_count(data, reference.term), float(data.baseline["follow_up_days"].sum()) / DAYS_PER_YEAR
        if years <= 0:
            return row | {"n": len(data.baseline), "note": noted(Verdict.NOT_COMPUTED, "no follow-up")}
        estimate, low, high = poisson_rate(events, years)
        row |= {"n": len(data.baseline), "n_events": events}
    else:
        values = baseline_values(data, reference.term)
        if not len(values):
            return row | {"n": 0, "note": noted(Verdict.NOT_COMPUTED, "no value observed")}
        estimate, low, high = _SUMMARIES[reference.statistic](values)
        row |= {"n": len(values)}
        if reference.statistic == PROPORTION:
            row |= {"n_events": int(values.sum())}
    return row | {
        "estimate": estimate,
        "conf_low": low,
        "conf_high": high,
        "note": range_note(estimate, low, high, reference.range),
    }


def range_note(estimate: float, low: float, high: float, borrowed: tuple[float, float]) -> str:
    """Say whether an estimate lies in a range and, if not, whether its interval reaches it.

    Examples
    --------
    >>> range_note(5.0, 4.0, 6.0, (4.5, 9.0))
    'within the borrowed range'
    >>> range_note(4.0, 3.0, 5.0, (4.5, 9.0))
    'outside the borrowed range; below it; its 95 % interval reaches it'
    """
    if borrowed[0] <= estimate <= borrowed[1]:
        return noted(Verdict.WITHIN)
    side = "below it" if estimate < borrowed[0] else "above it"
    reaches = low <= borrowed[1] and high >= borrowed[0]
    return noted(Verdict.OUTSIDE, side, "its 95 % interval reaches it" if reaches else "")


def _published_rows(reference: Reference) -> Iterator[Row]:
    for one in reference.published:
        low, high = one.limits(reference.statistic)
        row = _shared(reference, one.cohort) | {"n": one.patients, "method": "as published", "note": one.source}
        yield row | {"estimate": one.value, "conf_low": low, "conf_high": high, "conf_level": LEVEL}
        spread = {} if one.sd is None else {"sd": one.sd}
        if one.quartiles is not None:
            spread = {"q1": one.quartiles[0], "q3": one.quartiles[1]}
        for statistic, value in spread.items():
            yield row | {"statistic": statistic, "estimate": value}


def baseline_values(data: AnalysisData, term: str) -> FloatArray:
    """Return the observed values of a term, one per patient who has one; of a level, 1 if it applies and else 0.

    ``column=A or B`` is the share of either level; ``egfr_below_90`` of a reduced eGFR.
    """
    frame = data.baseline
    name, is_level, level = term.partition("=")
    if is_level:
        observed = frame[name].dropna()
        return np.asarray(observed.isin(level.split(" or ")), dtype=np.float64)
    if term == "tacrolimus_trough_ng_ml":
        column = data.cohort.visits.groupby("patient_id")[term].mean()
    elif term == "egfr_below_90":
        column = frame["egfr_ml_min_1_73m2"].dropna() < LOW_EGFR
    else:
        column = frame[term]
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.asarray(values[~np.isnan(values)], dtype=np.float64)


def _event_count(data: AnalysisData, term: str) -> int:
    if term == Event.RENAL_FLARE.value:
        return len(data.flares)
    return int((data.cohort.events["event"] == term).sum())


def _mean(values: FloatArray) -> tuple[float, float, float]:
    centre, size = float(values.mean()), len(values)
    if size < 2:
        return centre, np.nan, np.nan
    half = float(stdtrit(size - 1, 0.5 + LEVEL / 2)) * float(values.std(ddof=1)) / np.sqrt(size)
    return centre, centre - half, centre + half


def median_interval(values: FloatArray) -> tuple[float, float, float]:
    """Return the median and its distribution-free interval: the narrowest symmetric pair of order statistics.

    With fewer than six values no pair covers 95 %, and the limits are NaN.

    Examples
    --------
    >>> median_interval(np.arange(1.0, 11.0))
    (5.5, 2.0, 9.0)
    """
    ordered, size = np.sort(values), len(values)
    # bdtr(k, n, 1/2) is the chance that at most k of n values lie below the median.
    candidates = np.arange(size)
    outside = np.flatnonzero(bdtr(candidates, size, 0.5) <= (1 - LEVEL) / 2)
    centre = float(np.median(ordered))
    if not len(outside):
        return centre, np.nan, np.nan
    place = int(outside[-1])
    return centre, float(ordered[place]), float(ordered[size - 1 - place])


def _proportion(values: FloatArray) -> tuple[float, float, float]:
    interval = wilson_interval(float(values.sum()), len(values), conf_level=LEVEL)
    return float(interval.estimate), float(interval.low), float(interval.high)


def poisson_rate(events: int, years: float) -> tuple[float, float, float]:
    """Return a rate per 100 years with its exact interval; without an event the lower limit is 0.

    References
    ----------
    Garwood F. Fiducial limits for the Poisson distribution. Biometrika 1936;28:437-442. doi:10.1093/biomet/28.3-4.437

    Examples
    --------
    >>> [round(value, 3) for value in poisson_rate(10, 1000.0)]
    [1.0, 0.48, 1.839]
    """
    tail = (1 - LEVEL) / 2
    low = float(chdtri(2 * events, 1 - tail)) / 2 if events else 0.0
    high = float(chdtri(2 * (events + 1), tail)) / 2
    return 100 * events / years, 100 * low / years, 100 * high / years


_SUMMARIES = {MEAN: _mean, MEDIAN: median_interval, PROPORTION: _proportion}
