"""Logistic regression by Newton's method, and the two ways in which it has no answer: collinearity and separation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dgeqrf, dorgqr, dposv, dpotrf, dpotrs, dtrtri
from scipy.special import expit

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_ITERATIONS = 60
ETA_TOLERANCE = 1e-9
"""Largest last step of any linear predictor; Newton converges quadratically, so the error left is far smaller.

A tolerance on the likelihood would call separated data converged; the linear predictor of separated patients moves by
about one at every step and never passes this one.
"""
LARGEST_ETA = 30.0
"""Beyond it a fitted probability is 0 or 1 to thirteen digits and the information loses its rank to rounding."""
_COLLINEAR_TOLERANCE = 1e-7
"""A column is collinear when the part of it not explained by those before it is below this share of its length."""
_CLEAR_OF_COLLINEAR = 1e-4
"""Above it the Cholesky factor of the cross products, in which rounding is squared, shows the same shares."""
_DIRECTION_TOLERANCE = 1e-6
_LAPACK_BLOCK = 32
"""Columns that LAPACK works through at a time, by its own default."""


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Maximum-likelihood logistic regression.

    Parameters
    ----------
    coefficients
        Shape (p,), log odds ratios.
    covariance
        Shape (p, p), inverse of the Fisher information.
    probability
        Shape (n,), fitted probabilities.
    log_likelihood
        At the maximum.
    iterations
        Newton steps taken.
    converged
        False when the steps did not shrink to nothing or a fitted probability came within rounding of 0 or 1
        (separation, as a rule); the other fields then hold the last iterate and are not estimates.
    """

    coefficients: FloatArray
    covariance: FloatArray
    probability: FloatArray
    log_likelihood: float
    iterations: int
    converged: bool


def fit_logistic(design: FloatArray, outcome: FloatArray) -> LogisticFit:
    """Fit a logistic regression by Newton's method from coefficients of zero.

    Parameters
    ----------
    design
        Shape (n, p), with its intercept column if one is wanted; of full column rank.
    outcome
        Shape (n,), zeros and ones.

    Returns
    -------
    LogisticFit
        Look at ``converged`` first; :func:`separated_columns` then says which columns are to blame.

    References
    ----------
    McCullagh P, Nelder JA. Generalized Linear Models, 2nd ed. 1989. doi:10.1007/978-1-4899-3242-6

    Examples
    --------
    >>> import numpy as np
    >>> fit = fit_logistic(np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> round(float(fit.coefficients[0]), 6) == round(float(np.log(3)), 6)
    True
    """
    # Steps are taken in an orthonormal basis: a calendar year beside an intercept ruins the information matrix itself.
    basis, triangle = orthonormal_basis(design)
    # At zero every probability is a half and the information a quarter of the identity.
    step = 4.0 * (basis.T @ (outcome - 0.5))
    within = step
    converged = False
    iteration = 1
    while True:
        eta = basis @ within
        if float(np.abs(eta).max()) > LARGEST_ETA:
            probability = expit(eta)
            break
        probability = expit(eta)
        information = (basis * (probability * (1 - probability))[:, None]).T @ basis
        # Rows of the basis are no longer than one, so no linear predictor moves by more than the length of the step.
        converged = float(step @ step) <= ETA_TOLERANCE**2
        if converged or iteration == MAX_ITERATIONS:
            break
        iteration += 1
        factor, failed = dpotrf(information)
        if failed:
            break
        step = dpotrs(factor, basis.T @ (outcome - probability))[0]
        within = within + step
    back = dtrtri(triangle)[0]
    covariance = np.full(triangle.shape, np.nan)
    if converged:
        covariance = back @ dposv(information, back.T)[1]
    coefficients = np.asarray(back @ within, dtype=np.float64)
    log_likelihood = float(np.sum(outcome * eta - np.logaddexp(0.0, eta)))
    return LogisticFit(coefficients, covariance, probability, log_likelihood, iteration, converged)


def orthonormal_basis(design: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a basis (n, p) with orthonormal columns and the upper triangle (p, p) that turns it into the design.

    The design has no fewer rows than columns. The same as ``numpy.linalg.qr``, which takes several times as long over
    a few columns.

    Examples
    --------
    >>> import numpy as np
    >>> basis, triangle = orthonormal_basis(np.array([[3.0, 1.0], [4.0, 1.0]]))
    >>> np.allclose(basis.T @ basis, np.eye(2)), np.allclose(basis @ triangle, [[3.0, 1.0], [4.0, 1.0]])
    (True, True)
    """
    columns = design.shape[1]
    factored, reflections, _, _ = dgeqrf(design, lwork=_LAPACK_BLOCK * columns)
    place = np.arange(columns)
    triangle = np.where(place[:, None] <= place, factored[:columns], 0.0)
    return dorgqr(factored, reflections, lwork=_LAPACK_BLOCK * columns, overwrite_a=True)[0], triangle


def collinear_columns(design: FloatArray) -> tuple[int, ...]:
    """Return the columns that are linear combinations of the columns before them, in order.

    Parameters
    ----------
    design
        Shape (n, p).

    Returns
    -------
    tuple of int
        Empty when the design has full column rank. A column of zeros is collinear.

    Examples
    --------
    >>> import numpy as np
    >>> collinear_columns(np.array([[1.0, 2.0, 0.5], [1.0, 2.0, 1.0], [1.0, 2.0, 3.0]]))
    (1,)
    """
    if _clearly_independent(design):
        return ()
    kept: list[FloatArray] = []
    collinear: list[int] = []
    for index in range(design.shape[1]):
        column = design[:, index]
        rest = column.copy()
        for _ in range(2):  # a second pass of Gram-Schmidt restores the orthogonality lost to rounding
            for direction in kept:
                rest = rest - direction * (direction @ rest)
        length = float(np.linalg.norm(rest))
        if length <= _COLLINEAR_TOLERANCE * float(np.linalg.norm(column)):
            collinear.append(index)
        else:
            kept.append(rest / length)
    return tuple(collinear)


def _clearly_independent(design: FloatArray) -> bool:
    products = design.T @ design
    length = np.sqrt(products.diagonal())
    if not (length > 0).all():
        return False
    factor, failed = dpotrf(products / np.outer(length, length))
    return not failed and bool(factor.diagonal().min() > _CLEAR_OF_COLLINEAR)


def separated_columns(design: FloatArray, lower: BoolArray, upper: BoolArray) -> tuple[int, ...]:
    """Return the columns whose coefficients have no finite maximum-likelihood estimate.

    A direction in which the linear predictor falls for some of the ``lower`` rows, rises for some of the ``upper``
    rows, moves the wrong way for none of them and leaves every other row alone improves the likelihood for ever. The
    widest such direction is found by linear programming, which covers complete and quasi-complete separation alike.

    Parameters
    ----------
    design
        Shape (n, p), of full column rank.
    lower, upper
        Shape (n,), rows whose fit improves as the linear predictor falls, or rises: for a binary outcome the zeros
        and the ones, for a count the zeros and nothing.

    Returns
    -------
    tuple of int
        Empty when all estimates are finite.

    References
    ----------
    Konis K. Linear programming algorithms for detecting separated data in binary logistic regression models. DPhil
    thesis, University of Oxford, 2007. Albert A, Anderson JA. Biometrika 1984;71:1-10. doi:10.1093/biomet/71.1.1

    Examples
    --------
    >>> import numpy as np
    >>> design = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0]])
    >>> outcome = np.array([0.0, 1.0, 1.0, 1.0])
    >>> separated_columns(design, outcome == 0, outcome == 1)
    (1,)
    """
    from scipy.optimize import linprog

    scale = np.abs(design).max(axis=0)
    scaled = design / np.where(scale > 0, scale, 1.0)
    signed = np.vstack([-scaled[lower], scaled[upper]])
    fixed = scaled[~(lower | upper)]
    solution = linprog(
        -signed.sum(axis=0),
        A_ub=-signed,
        b_ub=np.zeros(len(signed)),
        A_eq=fixed if len(fixed) else None,
        b_eq=np.zeros(len(fixed)) if len(fixed) else None,
        bounds=(-1, 1),
        method="highs",
    )
    direction = np.asarray(solution.x, dtype=np.float64)
    if float((signed @ direction).sum()) <= _DIRECTION_TOLERANCE:
        return ()
    return tuple(int(index) for index in np.flatnonzero(np.abs(direction) > _DIRECTION_TOLERANCE))
