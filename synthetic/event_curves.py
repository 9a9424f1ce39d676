"""Contrasts of two times to a first event whose distributions are known day by day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365.25
_LARGEST_LOG_RATIO = 60.0
_NOBODY = 1e-12
"""Shares at risk below this are zero but for rounding."""


def restricted_mean_years(mass: FloatArray) -> FloatArray:
    """Return the mean event-free time up to the last day, in years.

    Parameters
    ----------
    mass
        Probability of the first event on each day from 0 to the last one, shape ``(..., days)``.

    Returns
    -------
    numpy.ndarray
        The area under the step function of event-free survival from day 0 to the last day, shape ``(...,)``.

    Examples
    --------
    Half of the patients have their event on day 1 of 3 and the others none: (1 + 3) / 2 days.

    >>> float(restricted_mean_years(np.array([0.0, 0.5, 0.0, 0.0])) * DAYS_PER_YEAR)
    2.0
    """
    left = np.arange(mass.shape[-1])[::-1]
    return np.asarray((left[0] - mass @ left) / DAYS_PER_YEAR)


def cox_limit(mass: FloatArray, reference_mass: FloatArray) -> float:
    r"""Return the hazard ratio that Cox's partial likelihood tends to in ever larger samples.

    As many patients are followed under the one arm as under the other, all of them to the last day. The ratio
    :math:`\theta` solves the score equation of the only covariate, the arm,

    .. math:: \sum_d m_1(d) - \{m_1(d) + m_0(d)\}\frac{\theta y_1(d)}{\theta y_1(d) + y_0(d)} = 0,

    with :math:`m` the probability of an event on day ``d`` and :math:`y` that of being at risk on it. Events of one day
    are tied as Breslow ties them; with a daily hazard below a thousandth, Efron's handling gives the same. Where
    hazards are not proportional the limit is the weighted average of Struthers and Kalbfleisch (1986),
    doi:10.1093/biomet/73.2.363, which depends on how long patients are followed.

    Parameters
    ----------
    mass, reference_mass
        Probability of the first event on each day, shape ``(days,)``.

    Returns
    -------
    float
        NaN if one of the arms has no event while somebody is at risk in the other: no finite ratio above 0 exists.

    Examples
    --------
    Two patients an arm, events on days 1 and 3 against 2 and 4. With the events in order, the risk sets hold 2 and 2,
    1 and 2, 1 and 1, 0 and 1 patients, so that 2 = 2t / (2t + 2) + t / (t + 2) + t / (t + 1), solved by t = 2.5616.

    >>> one, other = np.array([0, 0.5, 0, 0.5, 0]), np.array([0, 0, 0.5, 0, 0.5])
    >>> round(cox_limit(one, other), 4)
    2.5616
    """
    from scipy.optimize import brentq

    happens = np.flatnonzero(mass + reference_mass)
    own, other = mass[happens], reference_mass[happens]
    at_risk, other_at_risk = (1.0 - (np.cumsum(part) - part) for part in (own, other))
    # The partial likelihood has a maximum if each arm has an event while somebody is at risk in the other.
    if min(own[other_at_risk > _NOBODY].sum(), other[at_risk > _NOBODY].sum()) < _NOBODY:
        return float("nan")

    def score(log_ratio: float) -> float:
        weighted = np.exp(log_ratio) * at_risk
        return float(own.sum() - (own + other) @ (weighted / (weighted + other_at_risk)))

    return float(np.exp(brentq(score, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO, xtol=1e-12)))
