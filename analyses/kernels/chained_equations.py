"""One step of chained equations: draw the missing values of a column given all the others."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_RIDGE = 1e-8
_PRIOR_PRECISION = 0.16
"""Of a standardised coefficient of a category: a normal prior with a standard deviation of 2.5."""
_MAX_ITERATIONS = 50
_TOLERANCE = 1e-8


def draw_by_predictive_means(
    predictors: FloatArray, observed: FloatArray, gaps: FloatArray, rng: np.random.Generator, *, donors: int
) -> FloatArray:
    """Draw numbers by predictive mean matching.

    Parameters
    ----------
    predictors
        Shape (n, p), standardised, without an intercept, of the rows with a value.
    observed
        Shape (n,), their values.
    gaps
        Shape (m, p), predictors of the rows without.
    rng
        Drawn from: the regression's variance and coefficients, then one donor per row.
    donors
        How many of the rows with the closest predicted values may donate theirs; ties are broken by lot.

    Returns
    -------
    numpy.ndarray
        Shape (m,), values that occur among ``observed``. Predictions of the rows without a value use drawn
        coefficients, those of the donors the estimated ones.

    References
    ----------
    van Buuren S, Groothuis-Oudshoorn K. J Stat Softw 2011;45(3). doi:10.18637/jss.v045.i03
    """
    design = np.column_stack([np.ones(len(predictors)), predictors])
    information = design.T @ design
    information[np.diag_indices_from(information)] *= 1 + _RIDGE
    information[np.diag_indices_from(information)] += _RIDGE
    root = np.linalg.cholesky(information)
    estimate = np.linalg.solve(information, design.T @ observed)
    freedom = max(len(observed) - design.shape[1], 1)
    residual = float(np.sum((observed - design @ estimate) ** 2))
    spread = np.sqrt(residual / rng.chisquare(freedom))
    drawn = estimate + spread * np.linalg.solve(root.T, rng.standard_normal(len(estimate)))
    fitted = design @ estimate
    wanted = drawn[0] + gaps @ drawn[1:]
    return observed[_nearest(fitted, wanted, donors, rng)]


def _nearest(fitted: FloatArray, wanted: FloatArray, donors: int, rng: np.random.Generator) -> IntArray:
    """Choose for each wanted value one of the rows with the closest fitted ones, shape ``(m,)``.

    Rows alike in all predictors are fitted alike. Which of them are among the closest is settled by lot for every
    wanted value: a fixed few would lend their values to everybody.
    """
    # Alike but for rounding is alike.
    scale = float(np.abs(fitted).max()) or 1.0
    values, member, number = np.unique(np.round(fitted / scale, 11) * scale, return_inverse=True, return_counts=True)
    rows, first = np.argsort(member, kind="stable"), np.cumsum(number) - number
    count = min(donors, len(fitted))
    # The closest few of a sorted list lie within as many places to either side.
    around = np.searchsorted(values, wanted)[:, None] + np.arange(-count, count)
    inside = (around >= 0) & (around < len(values))
    places = np.clip(around, 0, len(values) - 1)
    distance = np.where(inside, np.abs(values[places] - wanted[:, None]), np.inf)
    closest = np.take_along_axis(places, np.argsort(distance, axis=1, kind="stable"), axis=1)
    counted = np.where(np.sort(distance, axis=1) < np.inf, number[closest], 0)
    drawn = rng.integers(0, count, len(wanted))
    nth = (np.cumsum(counted, axis=1) > drawn[:, None]).argmax(axis=1)
    chosen = closest[np.arange(len(wanted)), nth]
    return np.asarray(rows[first[chosen] + rng.integers(0, number[chosen])], dtype=np.intp)


def draw_categories(
    predictors: FloatArray, observed: IntArray, levels: int, gaps: FloatArray, rng: np.random.Generator
) -> IntArray:
    """Draw categories from a multinomial logistic model with drawn coefficients.

    Parameters
    ----------
    predictors, gaps, rng
        As for :func:`draw_by_predictive_means`.
    observed
        Shape (n,), category codes from 0.
    levels
        Number of categories.

    Returns
    -------
    numpy.ndarray
        Shape (m,), codes. Coefficients are drawn from the normal approximation at the posterior mode; a weak prior
        (normal, standard deviation 2.5) keeps sparse categories finite.
    """
    design = np.column_stack([np.ones(len(predictors)), predictors])
    columns, free = design.shape[1], levels - 1
    target = (observed[:, None] == np.arange(1, levels)).astype(np.float64)
    coefficients = np.zeros((free, columns))
    precision = np.tile(np.append(1e-4, np.full(columns - 1, _PRIOR_PRECISION)), free)
    information = np.diag(precision)
    for _ in range(_MAX_ITERATIONS):
        share = _shares(design, coefficients)[:, 1:]
        gradient = ((target - share).T @ design).ravel() - precision * coefficients.ravel()
        information = np.diag(precision)
        for one in range(free):
            for other in range(one, free):
                case = share[:, one] * ((one == other) - share[:, other])
                block = (design * case[:, None]).T @ design
                rows = slice(one * columns, (one + 1) * columns)
                across = slice(other * columns, (other + 1) * columns)
                information[rows, across] += block
                if one != other:
                    information[across, rows] += block.T
        step = np.linalg.solve(information, gradient)
        largest = float(np.max(np.abs(step)))
        coefficients += (step * min(1.0, 5.0 / largest if largest > 0 else 1.0)).reshape(coefficients.shape)
        if largest <= _TOLERANCE:
            break
    noise = np.linalg.solve(np.linalg.cholesky(information).T, rng.standard_normal(free * columns))
    chances = _shares(np.column_stack([np.ones(len(gaps)), gaps]), coefficients + noise.reshape(coefficients.shape))
    return np.asarray((np.cumsum(chances, axis=1) < rng.random(len(gaps))[:, None]).sum(axis=1).clip(max=free))


def _shares(design: FloatArray, coefficients: FloatArray) -> FloatArray:
    eta = np.column_stack([np.zeros(len(design)), design @ coefficients.T])
    weights = np.exp(eta - eta.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
