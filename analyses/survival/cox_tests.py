"""Tests and contrasts of a fitted Cox model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc, ndtr

from analyses.kernels.concordance import concordance
from analyses.kernels.probability_interval import normal_quantile
from analyses.kernels.proportional_hazards import TIME_TRANSFORMS, TimeTransform, transformed_times, trend_tests
from analyses.kernels.quadratic_form import quadratic_form
from analyses.survival.cox_data import NO_JOINT_TEST, NO_SPREAD
from analyses.survival.cox_predictions import linear_predictors, predictor_errors
from analyses.survival.inputs import check_choice
from cohort.errors import AnalysisError
from cohort.results import Column, ResultTable

if TYPE_CHECKING:
    from analyses.survival.cox_fit import CoxFit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

NO_PAIRS = "no comparable pairs"


def estimates(
    terms: tuple[str, ...],
    coefficients: FloatArray,
    errors: FloatArray,
    notes: tuple[str, ...],
    conf_level: float,
    exponentiate: bool,
) -> dict[str, Column]:
    """Return the columns of :meth:`analyses.survival.cox_fit.CoxFit.tidy`."""
    half = normal_quantile(conf_level) * errors
    carry = np.exp if exponentiate else np.asarray
    return {
        "term": terms,
        "statistic": ["hazard_ratio" if exponentiate else "log_hazard_ratio"] * len(terms),
        "estimate": carry(coefficients),
        "std_error": errors,
        "conf_low": carry(coefficients - half),
        "conf_high": carry(coefficients + half),
        "p_value": 2 * ndtr(-np.abs(coefficients) / errors),
        "note": [note or (NO_SPREAD if lacks else None) for note, lacks in zip(notes, np.isnan(errors), strict=True)],
    }


def whole_model(fit: CoxFit) -> ResultTable:
    """Return the row of :meth:`analyses.survival.cox_fit.CoxFit.glance`."""
    estimated = np.flatnonzero(~np.isnan(fit.coefficients))
    wald = fit.robust_variance is not None or fit.data.columns.weights is not None
    chi_square = _wald(fit, estimated) if wald else 2 * (fit.log_likelihood - fit.log_likelihood_null)
    tested = fit.converged and not math.isnan(chi_square)
    failures = "; ".join(f"{term}: {note}" for term, note in zip(fit.terms, fit.notes, strict=True) if note)
    row = {
        "estimate": fit.log_likelihood,
        "p_value": float(chdtrc(len(estimated), max(chi_square, 0.0))) if tested else math.nan,
        "note": f"df={len(estimated)}" if tested else failures or NO_JOINT_TEST,
    }
    test = "Wald test" if wald else "likelihood-ratio test"
    return fit.table(pd.DataFrame([row]), statistic="log_likelihood", method=f"{fit.method}; {test}")


def proportional_hazards(fit: CoxFit, transform: TimeTransform) -> ResultTable:
    """Return the rows of :meth:`analyses.survival.cox_fit.CoxFit.test_proportional_hazards`."""
    check_choice(transform, TIME_TRANSFORMS, where="transform")
    events, durations = fit.data.columns.events, fit.data.columns.durations
    if transform == "log" and np.any(durations[events] == 0):
        raise AnalysisError("an event at time 0 has no logarithm", where="transform 'log'", remedy="use transform='km'")
    variables = fit.data.design.variables
    estimated = np.flatnonzero(~np.isnan(fit.coefficients))
    owners = dict.fromkeys(variables)
    blocks = [np.array([j for j in estimated if variables[j] == owner], dtype=np.intp) for owner in owners]
    blocks.append(estimated)
    rows: list[dict[str, object]] = [
        {"term": label, "note": _why_untested(fit, len(block))}
        for label, block in zip([*owners, "GLOBAL"], blocks, strict=True)
    ]
    problem = fit.data.problem
    if problem is not None and len(estimated):
        trend = transformed_times(durations, events, entries=fit.data.columns.entries, transform=transform)
        tests = trend_tests(problem, fit.left_at, trend, blocks)
        for row, test in zip(rows, tests, strict=True):
            if test.degrees_of_freedom:
                row["estimate"] = test.chi_square
                row["p_value"] = float(chdtrc(test.degrees_of_freedom, test.chi_square))
                row["note"] = f"df={test.degrees_of_freedom}"
    method = f"score test of proportional hazards, transform={transform}, model-based variance"
    frame = pd.DataFrame(rows).reindex(columns=["term", "estimate", "p_value", "note"])
    return fit.table(frame, statistic="chi_square", method=method)


def _why_untested(fit: CoxFit, columns: int) -> str:
    if fit.n_events == 0:
        return "no test: no events"
    return "no test: events too few for a trend" if columns else "no test: no estimate of this term"


def wald_test(fit: CoxFit, terms: Sequence[str]) -> ResultTable:
    """Return the row of :meth:`analyses.survival.cox_fit.CoxFit.test_terms`."""
    variables = fit.data.design.variables
    unknown = [name for name in terms if name not in variables and name not in fit.terms]
    if unknown or isinstance(terms, str) or not len(terms):
        raise AnalysisError(
            "terms to test are a list of terms of the model",
            where="test_terms, terms",
            got=repr(terms) if isinstance(terms, str) else ", ".join(unknown) or "none",
            remedy=f"name some of {', '.join(dict.fromkeys([*variables, *fit.terms]))}",
        )
    named = [k for k, name in enumerate(fit.terms) if name in terms or variables[k] in terms]
    tested = np.array([k for k in named if not np.isnan(fit.coefficients[k])], dtype=np.intp)
    left_out = "; ".join(f"{fit.terms[k]}: {fit.notes[k]}" for k in named if k not in tested)
    chi_square = _wald(fit, tested)
    if math.isnan(chi_square):
        note = left_out if not len(tested) else NO_JOINT_TEST
        p_value = math.nan
    else:
        note = "; ".join(filter(None, [f"df={len(tested)}", left_out]))
        p_value = float(chdtrc(len(tested), chi_square))
    row = {"term": " + ".join(terms), "estimate": chi_square, "p_value": p_value, "note": note}
    return fit.table(pd.DataFrame([row]), statistic="chi_square", method=f"{fit.method}; Wald test")


def _wald(fit: CoxFit, tested: IntArray) -> float:
    block = np.ix_(tested, tested)
    unit = np.sqrt(np.diag(fit.variance))[tested]
    return quadratic_form(fit.coefficients[tested] / unit, fit.used_variance[block] / np.outer(unit, unit), scale=1.0)


def contrasts(fit: CoxFit, combinations: Mapping[str, Mapping[str, float]], *, exponentiate: bool) -> ResultTable:
    """Return the rows of :meth:`analyses.survival.cox_fit.CoxFit.contrasts`."""
    if not combinations:
        raise AnalysisError("no combinations", where="contrasts", remedy="give a label and its coefficients")
    rows = []
    for label, parts in combinations.items():
        unknown = [name for name in parts if name not in fit.terms]
        if unknown or not parts:
            raise AnalysisError(
                "a contrast combines coefficients of the model",
                where=f"contrast {label!r}",
                got=", ".join(unknown) or "none",
                remedy=f"use {', '.join(fit.terms)}",
            )
        multipliers = np.array([parts.get(term, 0.0) for term in fit.terms])
        used = multipliers != 0
        lacking = [f"{fit.terms[k]}: {fit.notes[k]}" for k in np.flatnonzero(used) if fit.notes[k]]
        estimate = float(multipliers[used] @ fit.coefficients[used])
        error = math.nan if lacking else float(predictor_errors(fit, multipliers[None])[0])
        rows.append((label, estimate, error, "; ".join(lacking) or (NO_SPREAD if math.isnan(error) else None)))
    frame = pd.DataFrame(rows, columns=["contrast", "estimate", "std_error", "note"])
    half = normal_quantile(fit.conf_level) * frame["std_error"]
    frame["p_value"] = 2 * ndtr(-np.abs(frame["estimate"] / frame["std_error"]))
    frame["conf_low"], frame["conf_high"] = frame["estimate"] - half, frame["estimate"] + half
    if exponentiate:
        for name in ("estimate", "conf_low", "conf_high"):
            frame[name] = np.exp(frame[name])
    statistic = "hazard_ratio" if exponentiate else "log_hazard_ratio"
    return fit.table(frame, statistic=statistic, conf_level=fit.conf_level, method=f"{fit.method}; contrast")


def concordance_table(fit: CoxFit) -> ResultTable:
    """Return the rows of :meth:`analyses.survival.cox_fit.CoxFit.concordance`."""
    columns, data = fit.data.columns, fit.data
    found = concordance(
        linear_predictors(data.design.matrix, np.where(np.isnan(fit.left_at), 0.0, fit.left_at), data.offset),
        columns.durations,
        columns.events,
        weights=columns.weights,
        entries=columns.entries,
        strata=data.strata.codes if data.strata.names else None,
        clusters=data.clusters,
    )
    half = normal_quantile(fit.conf_level) * found.std_error
    rows: list[dict[str, object]] = [
        {
            "statistic": "concordance",
            "estimate": found.estimate,
            "std_error": found.std_error,
            "conf_low": max(found.estimate - half, 0.0),
            "conf_high": min(found.estimate + half, 1.0),
            "conf_level": fit.conf_level,
            "note": NO_PAIRS if math.isnan(found.estimate) else None,
        }
    ]
    pairs = {
        "concordant": found.concordant,
        "discordant": found.discordant,
        "tied_score": found.tied_score,
        "tied_time": found.tied_time,
        "tied_both": found.tied_both,
    }
    rows += [{"statistic": "pairs", "term": name, "estimate": number} for name, number in pairs.items()]
    units = "rows" if data.clusters is None else "clusters"
    method = f"Harrell's concordance of the linear predictor, infinitesimal jackknife over {units}"
    return fit.table(pd.DataFrame(rows), method=method)
