"""Hazard ratios of a treatment within subgroups, from one model, with a test of interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from analyses.columns import require_complete, treated_rows
from analyses.design_matrix import ordered_levels
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.quadratic_form import quadratic_form
from analyses.survival.cox import fit_cox
from analyses.survival.cox_fit import CoxFit
from analyses.survival.inputs import check_conf_level, survival_columns
from cohort.errors import UsageError
from cohort.results import ResultTable, result_table

FloatArray = NDArray[np.float64]

ONE_SUBGROUP = "no test: fewer than two subgroups have an estimate"
SINGULAR = "no test: the variance of the differences is singular"
NO_SPREAD = "no standard error: the rows or clusters are too few or too alike for a robust variance"
OVERALL, SUBGROUP = "all patients", "subgroup"


@dataclass(frozen=True, slots=True)
class _Level:
    """One subgroup: numbers of rows and events, and why it has no estimate (empty when it is in the model)."""

    name: str
    n: int
    n_events: int
    reason: str


def subgroup_effects(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: str,
    subgroup_col: str,
    duration_col: str,
    event_col: str,
    adjust: str | None = None,
    min_events: int = 5,
    weights_col: str | None = None,
    entry_col: str | None = None,
    strata: str | Sequence[str] | None = None,
    cluster_col: str | None = None,
    robust: bool = False,
    ties: Literal["efron", "breslow"] = "efron",
    conf_level: float = 0.95,
) -> ResultTable:
    """Estimate the hazard ratio of a treatment in each subgroup from one Cox model, and test whether it differs.

    The model has the subgroups' main effects, an effect of the treatment in each, and ``adjust`` with the same
    coefficients in all. Subgroups too sparse for an effect stay out of it and have a row that says why. The test of
    interaction, not the p-values of single subgroups, speaks to whether the effect differs; it has little power.

    Parameters
    ----------
    data
        One row per patient, or per spell with ``entry_col`` and ``cluster_col``.
    treatment_col, treated
        Column of the two arms, and the level that counts as treated.
    subgroup_col
        Column of the subgroups, known at baseline, for instance ``isn_rps_class``.
    duration_col, event_col, weights_col, entry_col, strata, cluster_col, robust, ties, conf_level
        As for :func:`analyses.survival.fit_cox`.
    adjust
        Right-hand side of further covariates.
    min_events
        Fewest events with which a subgroup is estimated; each of its arms needs one at least.

    Returns
    -------
    ResultTable
        ``contrast`` "treated v reference" and ``term`` the treatment column on every row but the last. First a row
        ``population="all patients"``: the effect from the model without interaction, of everybody. Then one row
        ``population="subgroup"`` per level (``group``), in sorted order, ``statistic="log_hazard_ratio"``:
        ``estimate, std_error, conf_low, conf_high``, ``p_value``, ``n`` rows and ``n_events`` of the subgroup,
        ``note`` why there is no estimate. Last a row ``statistic="chi_square"``, ``term`` "treatment:subgroup": Wald
        test of interaction, ``note`` ``df=...`` or why there is none.

    Raises
    ------
    AnalysisError
        As :func:`analyses.survival.fit_cox`; also unless there are two arms, one of them ``treated``.
    UsageError
        ``min_events`` below 1.

    References
    ----------
    Wang et al. (2007), doi:10.1056/NEJMsr077003, on reporting subgroups.

    Examples
    --------
    >>> frame = pd.DataFrame({"years": range(1, 13), "event": 1, "arm": ["a", "b"] * 6, "site": ["x"] * 6 + ["y"] * 6})
    >>> table = subgroup_effects(frame, treatment_col="arm", treated="b", subgroup_col="site", duration_col="years",
    ...                          event_col="event", min_events=2).frame
    >>> table[["population", "group", "n", "n_events"]].iloc[1:3].to_numpy().tolist()
    [['subgroup', 'x', 6.0, 6.0], ['subgroup', 'y', 6.0, 6.0]]
    """
    where = "subgroup_effects"
    check_conf_level(conf_level)
    if min_events < 1:
        raise UsageError("must be 1 or more", where=f"{where}, min_events", got=str(min_events))
    require_complete(data, [treatment_col, subgroup_col], where=where)
    on = treated_rows(data, treatment_col, treated, where=where)
    reference = next(level for level in ordered_levels(data[treatment_col])[0] if level != str(treated))
    events = survival_columns(data, duration_col=duration_col, event_col=event_col).events
    levels, codes = ordered_levels(data[subgroup_col])
    counted = [
        _count(name, codes == code, on, events, (str(treated), reference), min_events)
        for code, name in enumerate(levels)
    ]
    options: dict[str, object] = {
        "duration_col": duration_col,
        "event_col": event_col,
        "weights_col": weights_col,
        "entry_col": entry_col,
        "strata": strata,
        "cluster_col": cluster_col,
        "robust": robust,
        "ties": ties,
        "conf_level": conf_level,
    }
    names = _Names(data)
    whole = data.assign(**{names.treated: on.astype(np.float64), names.level: np.array(levels, dtype=object)[codes]})
    several = [names.level] if len(levels) > 1 else []
    further = [adjust] if adjust else []
    common = fit_cox(whole, " + ".join([names.treated, *several, *further]), **options)  # type: ignore[arg-type]
    apart, effects = _by_subgroup(whole, codes, counted, names, further, options)
    method = common.method if apart is None else apart.method
    rows = [_overall_row(common, names, conf_level), *_level_rows(counted, apart, effects, conf_level)]
    shared = {"contrast": f"{treated} v {reference}", "term": treatment_col, "conf_level": conf_level}
    test = _interaction_row(apart, effects)
    return result_table(
        [
            *(shared | {"statistic": "log_hazard_ratio", "method": method} | row for row in rows),
            {**test, "term": f"{treatment_col}:{subgroup_col}", "method": f"Wald test of interaction, {method}"},
        ],
        metadata={
            "spec": {
                "function": where,
                "treatment_col": treatment_col,
                "treated": str(treated),
                "subgroup_col": subgroup_col,
                "adjust": adjust,
                "min_events": min_events,
                **{name: value if value is None else str(value) for name, value in options.items()},
            }
        },
        analysis="survival",
    )


class _Names:
    """Names of the working columns, none of them in the data."""

    __slots__ = ("_stem", "level", "treated")

    def __init__(self, data: pd.DataFrame) -> None:
        stem = "subgroup_model"
        while any(str(name).startswith(stem) for name in data.columns):
            stem += "_"
        self._stem = stem
        self.treated, self.level = f"{stem}_treated", f"{stem}_level"

    def effect(self, code: int) -> str:
        return f"{self._stem}_effect_{code}"


def _count(
    name: str,
    inside: NDArray[np.bool_],
    on: NDArray[np.bool_],
    events: NDArray[np.bool_],
    arms: tuple[str, str],
    min_events: int,
) -> _Level:
    total = int(events[inside].sum())
    reason = ""
    for arm, members in zip(arms, (inside & on, inside & ~on), strict=True):
        if not members.any():
            reason = reason or f"not estimated: nobody on {arm}"
        elif not events[members].any():
            reason = reason or f"not estimated: no event on {arm}"
    if not reason and total < min_events:
        reason = f"not estimated: {total} events, fewer than {min_events}"
    return _Level(name, int(inside.sum()), total, reason)


def _by_subgroup(
    whole: pd.DataFrame,
    codes: NDArray[np.intp],
    levels: list[_Level],
    names: _Names,
    further: list[str],
    options: dict[str, object],
) -> tuple[CoxFit | None, dict[int, str]]:
    """Fit an effect in each subgroup that allows one; the model and the term of each such subgroup."""
    effects = {code: names.effect(code) for code, level in enumerate(levels) if not level.reason}
    if not effects:
        return None, {}
    kept = np.isin(codes, list(effects))
    on = whole[names.treated].to_numpy()
    rows = whole.assign(**{term: on * (codes == code) for code, term in effects.items()})[kept]
    main = [names.level] if len(effects) > 1 else []
    # The effects come first: what is aliased with an earlier term is a covariate, never an effect.
    return fit_cox(rows, " + ".join([*effects.values(), *main, *further]), **options), effects  # type: ignore[arg-type]


def _overall_row(fit: CoxFit, names: _Names, conf_level: float) -> dict[str, object]:
    return {
        "population": OVERALL,
        "n": float(fit.n),
        "n_events": float(fit.n_events),
        "method": fit.method,
        **_effect(fit, names.treated, conf_level),
    }


def _level_rows(
    levels: list[_Level], fit: CoxFit | None, effects: dict[int, str], conf_level: float
) -> list[dict[str, object]]:
    rows = []
    for code, level in enumerate(levels):
        row: dict[str, object] = {
            "population": SUBGROUP,
            "group": level.name,
            "n": float(level.n),
            "n_events": float(level.n_events),
            "note": level.reason or None,
        }
        if fit is not None and code in effects:
            row |= _effect(fit, effects[code], conf_level)
        rows.append(row)
    return rows


def _effect(fit: CoxFit, term: str, conf_level: float) -> dict[str, object]:
    place = fit.terms.index(term)
    estimate, error = float(fit.coefficients[place]), float(fit.std_errors[place])
    half = normal_quantile(conf_level) * error
    return {
        "estimate": estimate,
        "std_error": error,
        "conf_low": estimate - half,
        "conf_high": estimate + half,
        "p_value": 2 * float(ndtr(-abs(estimate) / error)),
        "note": fit.notes[place] or (NO_SPREAD if np.isnan(error) else None),
    }


def _interaction_row(fit: CoxFit | None, effects: dict[int, str]) -> dict[str, object]:
    row: dict[str, object] = {"statistic": "chi_square", "population": SUBGROUP}
    places = [] if fit is None else [fit.terms.index(term) for term in effects.values()]
    if fit is not None:
        places = [place for place in places if not np.isnan(fit.coefficients[place])]
    if fit is None or len(places) < 2:
        return row | {"note": ONE_SUBGROUP}
    variance = fit.variance if fit.robust_variance is None else fit.robust_variance
    contrast = np.hstack([-np.ones((len(places) - 1, 1)), np.eye(len(places) - 1)])
    difference = contrast @ fit.coefficients[places]
    spread = contrast @ variance[np.ix_(places, places)] @ contrast.T
    chi_square = quadratic_form(difference, spread, scale=1.0)
    if np.isnan(chi_square):
        return row | {"note": SINGULAR}
    degrees = len(places) - 1
    return row | {"estimate": chi_square, "p_value": float(chdtrc(degrees, chi_square)), "note": f"df={degrees}"}
