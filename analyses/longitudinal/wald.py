"""Wald tests that several coefficients of a model are all zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from analyses.columns import FloatArray
from analyses.kernels.quadratic_form import quadratic_form
from cohort.errors import UsageError

SINGULAR = "no test: the variance of the terms is singular"


@dataclass(frozen=True, slots=True)
class WaldTest:
    """A chi-square statistic with its degrees of freedom and p-value; NaN with a ``note`` when there is no test."""

    chi_square: float
    degrees_of_freedom: int
    p_value: float
    note: str


def wald_test(estimates: FloatArray, covariance: FloatArray) -> WaldTest:
    """Test that all ``estimates`` (q,) are zero.

    Examples
    --------
    >>> wald_test(np.array([2.0]), np.array([[1.0]])).chi_square
    4.0
    """
    size = len(estimates)
    if not (np.isfinite(estimates).all() and np.isfinite(covariance).all()):
        return WaldTest(float("nan"), size, float("nan"), "no test: no estimate or no variance")
    unit = np.sqrt(np.diag(covariance))
    if not np.all(unit > 0):
        return WaldTest(float("nan"), size, float("nan"), SINGULAR)
    value = quadratic_form(estimates / unit, covariance / np.outer(unit, unit), scale=1.0)
    if np.isnan(value):
        return WaldTest(value, size, value, SINGULAR)
    return WaldTest(value, size, float(chdtrc(size, value)), f"df={size}")


def chosen_terms(
    names: str | Sequence[str], terms: tuple[str, ...], variables: tuple[str, ...]
) -> tuple[str, tuple[int, ...]]:
    """Return a label and the numbers of the coefficients that ``names`` stand for.

    Parameters
    ----------
    names
        Terms of the formula, each standing for all its coefficients, or single coefficients.
    terms, variables
        Name of each coefficient, and the term of the formula it belongs to.

    Raises
    ------
    UsageError
        A name that is neither, or none at all.

    Examples
    --------
    >>> chosen_terms("class", ("Intercept", "class=IV", "class=V"), ("1", "class", "class"))
    ('class', (1, 2))
    """
    asked = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in asked if name not in {*terms, *variables}]
    if unknown or not asked:
        raise UsageError(
            "no such term",
            where="test_terms",
            got=", ".join(unknown) or "no name",
            remedy=f"use terms {', '.join(dict.fromkeys(variables))} or coefficients {', '.join(terms)}",
        )
    both = zip(terms, variables, strict=True)
    return " + ".join(asked), tuple(j for j, owners in enumerate(both) if set(owners) & set(asked))
