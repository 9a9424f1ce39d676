"""Subclassification on quantiles of the propensity score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from analyses.propensity.matched_sample import LINK_COLUMNS, Comparable, Matching, comparable_patients, in_subclasses
from analyses.propensity.matching import MatchedEstimand
from cohort.errors import AnalysisError, UsageError

_WHERE = "subclassify"
_WHOSE = {"ATT": "the treated", "ATC": "the reference arm", "ATE": "all patients"}


def subclassify(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    distance: str | npt.ArrayLike,
    subject_col: str = "patient_id",
    subclasses: int = 5,
    estimand: MatchedEstimand = "ATE",
    covariates: Sequence[str] = (),
) -> Matching:
    """Divide patients at quantiles of a number and weight the arms of every part to count the same.

    Parameters
    ----------
    data, treatment_col, treated, distance, subject_col, covariates
        As for :func:`analyses.propensity.match_patients`; any increasing function of the score gives nearly the same
        subclasses (quantiles are interpolated).
    subclasses
        How many.
    estimand
        Whose quantiles are taken (``ATT`` the treated, ``ATC`` the reference arm, ``ATE`` everybody) and whom the
        weights standardise to.

    Returns
    -------
    Matching
        Without pairs. A part in which one arm is missing cannot be compared: its patients are left out, as the note of
        ``unmatched`` in :meth:`Matching.tidy` says. Where values tie there may be fewer parts than asked for.

    Raises
    ------
    AnalysisError
        As for :func:`analyses.propensity.match_patients`; or no part has both arms.
    UsageError
        Fewer than two subclasses, or an unknown estimand.

    Notes
    -----
    Quantiles are interpolated linearly (type 7 of R) and a value equal to a boundary belongs to the part above it, the
    largest to the last one.

    References
    ----------
    Rosenbaum PR, Rubin DB. Reducing bias in observational studies using subclassification on the propensity score.
    J Am Stat Assoc 1984;79:516-524. doi:10.1080/01621459.1984.10478078

    Examples
    --------
    >>> data = pd.DataFrame({"patient_id": list("abcd"), "arm": list("trtr"), "score": [0.1, 0.2, 0.3, 0.4]})
    >>> found = subclassify(data, treatment_col="arm", treated="t", distance="score", subclasses=2)
    >>> found.subclass.tolist(), found.weights.tolist()
    ([1, 1, 2, 2], [1.0, 1.0, 1.0, 1.0])
    """
    _check(subclasses, estimand)
    patients = comparable_patients(
        data,
        treatment_col=treatment_col,
        treated=treated,
        distance=distance,
        subject_col=subject_col,
        where=_WHERE,
    )
    return subclassify_comparable(
        data, patients, subclasses=subclasses, estimand=estimand, subject_col=subject_col, covariates=tuple(covariates)
    )


def subclassify_comparable(
    data: pd.DataFrame,
    patients: Comparable,
    *,
    subclasses: int,
    estimand: MatchedEstimand,
    subject_col: str,
    covariates: tuple[str, ...],
) -> Matching:
    """Subclassify patients laid out already; arguments, result and errors are those of :func:`subclassify`."""
    _check(subclasses, estimand)
    is_treated, values = patients.treated, patients.values
    whose = {"ATT": is_treated, "ATC": ~is_treated, "ATE": np.ones(len(data), dtype=np.bool_)}[estimand]
    cuts = np.quantile(values[whose], np.linspace(0, 1, subclasses + 1))[1:-1]
    part = np.searchsorted(cuts, values, side="right")
    both = np.intersect1d(part[is_treated], part[~is_treated])
    if not len(both):
        raise AnalysisError(
            "no subclass has both arms",
            where=f"{_WHERE}, distance",
            got=f"{subclasses} subclasses",
            remedy="ask for fewer, or compare patients eligible for both treatments",
        )
    subclass = np.where(np.isin(part, both), np.searchsorted(both, part) + 1, 0).astype(np.int64)
    members = in_subclasses(subclass, is_treated, estimand)
    return Matching(
        weights=members.total(len(data)),
        subclass=subclass,
        pairs=pd.DataFrame({name: pd.Series(dtype="float64") for name in LINK_COLUMNS}),
        treated=is_treated,
        arms=patients.arms,
        estimand=estimand,
        method=f"subclassification at {subclasses - 1} quantiles of {_WHOSE[estimand]}",
        members=members,
        subject_col=subject_col,
        covariates=covariates,
        _ids=patients.ids,
        _left_out=(_note(subclass, is_treated), _note(subclass, ~is_treated)),
        _data=data.copy(),
    )


def _check(subclasses: int, estimand: str) -> None:
    if estimand not in _WHOSE:
        raise UsageError("unknown estimand", where=_WHERE, got=str(estimand), remedy=f"use {', '.join(_WHOSE)}")
    if isinstance(subclasses, bool) or subclasses != int(subclasses) or subclasses < 2:
        raise UsageError(
            "subclasses must be a whole number from 2", where=_WHERE, got=str(subclasses), remedy="use for instance 5"
        )


def _note(subclass: npt.NDArray[np.int64], own: npt.NDArray[np.bool_]) -> str:
    lost = int(np.sum(own & (subclass == 0)))
    return f"{lost}: between quantiles where the other arm has nobody" if lost else ""
