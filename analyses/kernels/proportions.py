"""Intervals and tests for binomial proportions: one proportion, or two independent ones.

All functions broadcast over their count arguments and know nothing of data frames. Where a quantity does not exist
(no patients, an empty margin, a zero cell) the result is NaN; saying why is the caller's part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, expit, gammaln, logit, ndtri

FloatArray = npt.NDArray[np.float64]

_FISHER_RELATIVE_TOLERANCE = 1e-7
"""Tables whose probability ties with the observed one up to rounding count as equally extreme, as R does."""


@dataclass(frozen=True, slots=True)
class IntervalEstimate:
    """Point estimates with their confidence limits, arrays of one shape.

    Parameters
    ----------
    estimate, low, high
        Estimates and limits.
    std_error
        Standard error on the scale on which the interval is symmetric (the logarithm, for ratios); NaN for intervals
        that are not built from a standard error.
    """

    estimate: FloatArray
    low: FloatArray
    high: FloatArray
    std_error: FloatArray


@dataclass(frozen=True, slots=True)
class ChiSquareTest:
    """A chi-square statistic, its degrees of freedom and p-value, and the smallest expected count behind it."""

    statistic: float
    degrees_of_freedom: int
    p_value: float
    smallest_expected: float


def normal_quantile(conf_level: float) -> float:
    """Return the two-sided standard normal quantile of a confidence level.

    Examples
    --------
    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    return float(ndtri(0.5 + conf_level / 2))


def wilson_interval(events: npt.ArrayLike, patients: npt.ArrayLike, *, conf_level: float = 0.95) -> IntervalEstimate:
    """Wilson's score interval of a proportion, without continuity correction.

    Parameters
    ----------
    events, patients
        Counts, broadcast together; ``0 <= events <= patients``.
    conf_level
        Confidence level in (0, 1).

    Returns
    -------
    IntervalEstimate
        The proportion and its limits, which lie in [0, 1] and contain it. With no event the lower limit is 0, with
        events only the upper limit is 1, both exactly. NaN throughout where ``patients`` is 0.

    References
    ----------
    Wilson EB. Probable inference, the law of succession, and statistical inference. J Am Stat Assoc 1927;22:209-212.
    doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> interval = wilson_interval(81, 263)
    >>> round(float(interval.low), 4), round(float(interval.high), 4)
    (0.2553, 0.3662)
    """
    x, n = _counts(events, patients)
    z = normal_quantile(conf_level)
    with np.errstate(divide="ignore", invalid="ignore"):
        proportion = x / n
        centre = (x + z**2 / 2) / (n + z**2)
        half_width = z * np.sqrt(x * (n - x) / n + z**2 / 4) / (n + z**2)
    # The limits reach the ends of the unit interval exactly in algebra but not in floating point.
    low = np.where(x == 0, np.where(n == 0, np.nan, 0.0), centre - half_width)
    high = np.where((x == n) & (n > 0), 1.0, centre + half_width)
    return IntervalEstimate(proportion, low, high, np.full(x.shape, np.nan))


def newcombe_difference(
    events: npt.ArrayLike,
    patients: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_patients: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
) -> IntervalEstimate:
    """Difference of two independent proportions with Newcombe's hybrid score interval (his method 10).

    Parameters
    ----------
    events, patients, reference_events, reference_patients
        Counts of the two groups, broadcast together.
    conf_level
        Confidence level in (0, 1).

    Returns
    -------
    IntervalEstimate
        ``events / patients - reference_events / reference_patients`` and its limits, which lie in [-1, 1]. Defined
        with zero events; NaN where a group has no patients.

    References
    ----------
    Newcombe RG. Interval estimation for the difference between independent proportions: comparison of eleven methods.
    Stat Med 1998;17:873-890. doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I

    Examples
    --------
    >>> interval = newcombe_difference(56, 70, 48, 80)
    >>> round(float(interval.low), 4), round(float(interval.high), 4)
    (0.0524, 0.3339)
    """
    one = wilson_interval(events, patients, conf_level=conf_level)
    two = wilson_interval(reference_events, reference_patients, conf_level=conf_level)
    difference = one.estimate - two.estimate
    low = difference - np.hypot(one.estimate - one.low, two.high - two.estimate)
    high = difference + np.hypot(one.high - one.estimate, two.estimate - two.low)
    return IntervalEstimate(difference, low, high, np.full(difference.shape, np.nan))


def risk_ratio(
    events: npt.ArrayLike,
    patients: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_patients: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
) -> IntervalEstimate:
    """Ratio of two independent proportions with a Wald interval on the logarithm.

    Parameters
    ----------
    events, patients, reference_events, reference_patients
        Counts of the two groups, broadcast together.
    conf_level
        Confidence level in (0, 1).

    Returns
    -------
    IntervalEstimate
        No count is ever corrected: with no event in the first group alone the ratio is 0 without limits, with none in
        the reference it is NaN. ``std_error`` belongs to the logarithm of the ratio.

    References
    ----------
    Katz D, Baptista J, Azen SP, Pike MC. Obtaining confidence intervals for the risk ratio in cohort studies.
    Biometrics 1978;34:469-474. doi:10.2307/2530610

    Examples
    --------
    >>> interval = risk_ratio(8, 20, 4, 20)
    >>> round(float(interval.estimate), 4), round(float(interval.std_error), 4)
    (2.0, 0.5244)
    """
    x1, n1 = _counts(events, patients)
    x0, n0 = _counts(reference_events, reference_patients)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.where(x0 > 0, (x1 / n1) / (x0 / n0), np.nan)
        std_error = np.sqrt((1 / x1 - 1 / n1) + (1 / x0 - 1 / n0))
    return _log_wald(estimate, std_error, (x1 > 0) & (x0 > 0), conf_level)


def odds_ratio(
    events: npt.ArrayLike,
    patients: npt.ArrayLike,
    reference_events: npt.ArrayLike,
    reference_patients: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
) -> IntervalEstimate:
    """Ratio of the odds of two independent groups with a Wald interval on the logarithm.

    Parameters
    ----------
    events, patients, reference_events, reference_patients
        Counts of the two groups, broadcast together.
    conf_level
        Confidence level in (0, 1).

    Returns
    -------
    IntervalEstimate
        No count is ever corrected: a zero cell leaves no limits, and the ratio is 0 or NaN. ``std_error`` belongs to
        the logarithm of the ratio.

    References
    ----------
    Woolf B. On estimating the relation between blood group and disease. Ann Hum Genet 1955;19:251-253.
    doi:10.1111/j.1469-1809.1955.tb01348.x

    Examples
    --------
    >>> interval = odds_ratio(8, 20, 4, 20)
    >>> round(float(interval.estimate), 4), round(float(interval.std_error), 4)
    (2.6667, 0.7217)
    """
    x1, n1 = _counts(events, patients)
    x0, n0 = _counts(reference_events, reference_patients)
    f1, f0 = n1 - x1, n0 - x0
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.where((x0 > 0) & (f1 > 0), x1 * f0 / (f1 * x0), np.nan)
        std_error = np.sqrt(1 / x1 + 1 / f1 + 1 / x0 + 1 / f0)
    return _log_wald(estimate, std_error, (x1 > 0) & (f1 > 0) & (x0 > 0) & (f0 > 0), conf_level)


def logit_interval(estimate: npt.ArrayLike, std_error: npt.ArrayLike, *, conf_level: float = 0.95) -> IntervalEstimate:
    """Interval of a probability from its standard error, symmetric on the logit scale.

    Parameters
    ----------
    estimate
        Probabilities strictly between 0 and 1.
    std_error
        Their standard errors, on the scale of probabilities.
    conf_level
        Confidence level in (0, 1).

    Returns
    -------
    IntervalEstimate
        Limits within (0, 1); ``std_error`` is handed through, on the scale of probabilities.

    Examples
    --------
    >>> interval = logit_interval(0.5, 0.1)
    >>> round(float(interval.low), 4), round(float(interval.high), 4)
    (0.3135, 0.6865)
    """
    p, error = np.asarray(estimate, dtype=np.float64), np.asarray(std_error, dtype=np.float64)
    half_width = normal_quantile(conf_level) * error / (p * (1 - p))
    return IntervalEstimate(p, expit(logit(p) - half_width), expit(logit(p) + half_width), error)


def pearson_chi_square(table: npt.ArrayLike) -> ChiSquareTest:
    """Pearson's chi-square test of independence in a two-way table, without continuity correction.

    Parameters
    ----------
    table
        Counts, shape (rows, columns).

    Returns
    -------
    ChiSquareTest
        Statistic and p-value are NaN where a row or column is empty or there is only one of either.

    References
    ----------
    Pearson K. On the criterion that a given system of deviations from the probable [...]. Philos Mag 1900;50:157-175.
    doi:10.1080/14786440009463897

    Examples
    --------
    >>> test = pearson_chi_square([[8, 12], [4, 16]])
    >>> round(test.statistic, 4), round(test.p_value, 4)
    (1.9048, 0.1675)
    """
    counts = np.asarray(table, dtype=np.float64)
    rows, columns = counts.sum(axis=1), counts.sum(axis=0)
    degrees = (len(rows) - 1) * (len(columns) - 1)
    if degrees == 0 or np.any(rows == 0) or np.any(columns == 0):
        return ChiSquareTest(np.nan, degrees, np.nan, np.nan)
    expected = np.outer(rows, columns) / counts.sum()
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    return ChiSquareTest(statistic, degrees, float(chdtrc(degrees, statistic)), float(expected.min()))


def fisher_exact(events: int, patients: int, reference_events: int, reference_patients: int) -> float:
    """Two-sided p-value of Fisher's exact test by the minimum-likelihood rule.

    Parameters
    ----------
    events, patients, reference_events, reference_patients
        Counts of the two groups.

    Returns
    -------
    float
        Sum of the hypergeometric probabilities that do not exceed that of the observed table (ties up to a relative
        1e-7 count). 1 when there is no event, only events, or a group without patients, since a single table is then
        possible.

    References
    ----------
    Fisher RA. The logic of inductive inference. J R Stat Soc 1935;98:39-82. doi:10.2307/2342435

    Examples
    --------
    >>> round(fisher_exact(8, 20, 4, 20), 4)
    0.3008
    """
    total_events = events + reference_events
    support = np.arange(max(0, total_events - reference_patients), min(patients, total_events) + 1)
    log_weight = -(
        gammaln(support + 1.0)
        + gammaln(patients - support + 1.0)
        + gammaln(total_events - support + 1.0)
        + gammaln(reference_patients - total_events + support + 1.0)
    )
    weight = np.exp(log_weight - log_weight.max())
    observed = weight[events - support[0]]
    extreme = weight <= observed * (1 + _FISHER_RELATIVE_TOLERANCE)
    return float(min(1.0, weight[extreme].sum() / weight.sum()))


def _counts(events: npt.ArrayLike, patients: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    x, n = np.broadcast_arrays(np.asarray(events, dtype=np.float64), np.asarray(patients, dtype=np.float64))
    return x, n


def _log_wald(
    estimate: FloatArray, std_error: FloatArray, has_interval: npt.NDArray[np.bool_], conf_level: float
) -> IntervalEstimate:
    estimate, std_error, has_interval = np.broadcast_arrays(estimate, std_error, has_interval)
    error = np.where(has_interval, std_error, np.nan)
    width = np.exp(normal_quantile(conf_level) * error)
    return IntervalEstimate(np.asarray(estimate), estimate / width, estimate * width, error)
