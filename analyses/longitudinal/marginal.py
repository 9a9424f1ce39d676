"""Response probabilities by group and visit, standardised to the covariates of the patients ever assessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from analyses.columns import (
    FloatArray,
    TextArray,
    as_text,
    refuse_repeated,
    require_complete,
    require_level,
    require_probability,
    visit_months,
)
from analyses.design_matrix import build_design
from analyses.kernels.logistic import collinear_columns, fit_logistic, separated_columns
from analyses.kernels.proportions import logit_interval, normal_quantile
from analyses.response.rates import Outcome, response_events
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_WHERE = "marginal_response"


@dataclass(frozen=True, slots=True, eq=False)
class _Cell:
    """One group at one visit, and what was estimated for it."""

    group: str
    month: float
    rows: int
    events: int
    estimate: float = np.nan
    influence: FloatArray | None = None
    note: str = ""

    @property
    def is_flat(self) -> bool:
        return not 0 < self.events < self.rows


def marginal_response(
    data: pd.DataFrame,
    *,
    reference: str,
    subject_col: str = "patient_id",
    response_col: str = "response",
    group_col: str = "arm",
    time_col: str = "visit_month",
    outcome: Outcome = "CR or PR",
    adjust: str | None = None,
    conf_level: float = 0.95,
) -> ResultTable:
    """Standardised response probability of each group at each visit, and differences from the reference.

    A logistic model with one parameter per group and visit, plus the adjustment covariates, is fitted with
    independence working correlation. Each group's probability at a visit is the model's prediction averaged over the
    covariates of the patients with at least one assessed visit, each counted once, as if every one of them had belonged
    to that group. Without ``adjust`` it is the observed proportion. Of these patients, those not assessed at a visit
    are taken to be like those assessed with the same covariates; a patient never assessed has no row and no part in it.

    Parameters
    ----------
    data
        One row per patient and visit assessed; covariates of ``adjust`` repeat the baseline value on each row.
    reference
        Group the others are compared with.
    subject_col, response_col, group_col, time_col
        Columns of the patient, the response (CR, PR, NR), the group (constant within a patient) and the visit month.
    outcome
        What counts as an event.
    adjust
        Right-hand side of baseline covariates, or None.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        Per group and time a row ``standardised_proportion`` (interval symmetric on the logit scale), then per contrast
        and time a row ``standardised_risk_difference`` (Wald interval and p-value). The variance is a sandwich with
        patients as clusters and includes that of the covariate distribution. A cell in which nobody, or everybody, has
        the event is estimated as 0 or 1 without interval, with a note (it then carries no information on the
        covariates); so is any difference from it. A model without finite estimate gives rows with a note.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, missing values, unknown response code, fewer than two groups, ``reference`` not among
        them, a patient with two rows at a visit or in two groups, a covariate that changes within a patient, a
        constant or collinear covariate (named).
    UsageError
        ``outcome`` or ``conf_level`` out of range.

    References
    ----------
    Liang KY, Zeger SL. Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13. Bartlett JW. Covariate adjustment and
    estimation of mean response in randomised trials. Pharm Stat 2018;17:648-666. doi:10.1002/pst.1880

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"patient_id": range(8), "arm": ["a"] * 4 + ["b"] * 4, "visit_month": 6})
    >>> data["response"] = ["CR", "CR", "PR", "NR", "CR", "NR", "NR", "NR"]
    >>> marginal_response(data, reference="b").frame["estimate"].round(6).tolist()
    [0.75, 0.25, 0.5]
    """
    require_probability(conf_level, "conf_level")
    require_complete(data, [subject_col, response_col, group_col, time_col], where=_WHERE)
    event = response_events(data, response_col, outcome, where=_WHERE).astype(np.float64)
    group, month = as_text(data[group_col]), visit_months(data, time_col, where=_WHERE)
    groups = sorted(set(group.tolist()))
    require_level(groups, reference, where=f"{_WHERE}, column {group_col}")
    refuse_repeated(data, subject_col, time_col, where=_WHERE)
    _, first, subject = np.unique(as_text(data[subject_col]), return_index=True, return_inverse=True)
    _refuse_changing((group != group[first][subject])[:, None], (group_col,))
    covariates = np.empty((len(data), 0))
    if adjust is not None:
        design = build_design(adjust, data, intercept=False)
        covariates = design.matrix
        _refuse_changing(covariates != covariates[first][subject], design.terms)
        _refuse_collinear(covariates[first], design.terms)
    cells = _estimate(event, group, month, subject, covariates, covariates[first])
    return result_table(
        [*_proportion_rows(cells, conf_level), *_difference_rows(cells, reference, conf_level)],
        metadata={
            "spec": {
                "function": _WHERE,
                "reference": reference,
                "outcome": outcome,
                "adjust": adjust,
                "conf_level": conf_level,
                "columns": [subject_col, response_col, group_col, time_col],
            }
        },
        analysis="longitudinal",
        term=outcome,
        time_unit="month",
        conf_level=conf_level,
        method="GEE logistic, independence, group by visit"
        + (f", adjusted for {adjust}" if adjust else "")
        + "; standardised to patients with at least one assessed visit; sandwich variance",
    )


def _estimate(
    event: FloatArray,
    group: TextArray,
    month: FloatArray,
    subject: np.ndarray[tuple[int, ...], np.dtype[np.intp]],
    covariates: FloatArray,
    baseline: FloatArray,
) -> list[_Cell]:
    """Fit the cells that vary and standardise each over ``baseline``, the covariates of the patients."""
    members = {
        (name, when): (group == name) & (month == when)
        for name in sorted(set(group.tolist()))
        for when in np.unique(month).tolist()
    }
    cells = {key: _Cell(*key, int(rows.sum()), int(event[rows].sum())) for key, rows in members.items()}
    fitted = [key for key, cell in cells.items() if not cell.is_flat]
    results = {key: _flat(cell) for key, cell in cells.items() if cell.is_flat}
    if fitted:
        indicators = np.column_stack([members[key] for key in fitted]).astype(np.float64)
        used = indicators.any(axis=1)
        design = np.hstack([indicators, covariates])[used]
        fit = fit_logistic(design, event[used]) if not collinear_columns(design) else None
        if fit is None or not fit.converged:
            why = _no_solution(design, event[used])
            results |= {key: _with(cells[key], note=why) for key in fitted}
        else:
            scores = np.zeros((len(baseline), design.shape[1]))
            np.add.at(scores, subject[used], design * (event[used] - fit.probability)[:, None])
            shift = baseline @ fit.coefficients[len(fitted) :]
            for place, key in enumerate(fitted):
                probability = expit(fit.coefficients[place] + shift)
                slope = probability * (1 - probability)
                gradient = np.zeros(design.shape[1])
                gradient[place] = slope.mean()
                gradient[len(fitted) :] = slope @ baseline / len(baseline)
                mean = float(probability.mean())
                influence = (probability - mean) / len(baseline) + scores @ (fit.covariance @ gradient)
                results[key] = _with(cells[key], estimate=mean, influence=influence)
    return [results[key] for key in members]


def _with(cell: _Cell, *, estimate: float = np.nan, influence: FloatArray | None = None, note: str = "") -> _Cell:
    return _Cell(cell.group, cell.month, cell.rows, cell.events, estimate, influence, note)


def _flat(cell: _Cell) -> _Cell:
    if cell.rows == 0:
        return _with(cell, note=f"no patient of {cell.group} at this time")
    kind = "no event" if cell.events == 0 else "only events"
    return _with(cell, estimate=float(cell.events > 0), note=f"{kind} in {cell.group}: no interval")


def _no_solution(design: FloatArray, event: FloatArray) -> str:
    if collinear_columns(design):
        return "a covariate does not vary within the cells that have both outcomes"
    if separated_columns(design, event == 0, event == 1):
        return "the covariates separate the outcome: no finite estimate"
    return "fitted probabilities of 0 or 1: no finite estimate"


def _proportion_rows(cells: list[_Cell], conf_level: float) -> Iterator[dict[str, object]]:
    for cell in cells:
        row: dict[str, object] = {
            "group": cell.group,
            "time": cell.month,
            "statistic": "standardised_proportion",
            "estimate": cell.estimate,
            "n": cell.rows,
            "n_events": cell.events,
            "note": cell.note or None,
        }
        if cell.influence is not None:
            std_error = float(np.sqrt(np.sum(cell.influence**2)))
            interval = logit_interval(cell.estimate, std_error, conf_level=conf_level)
            row |= {
                "std_error": std_error,
                "conf_low": float(interval.low),
                "conf_high": float(interval.high),
            }
        yield row


def _difference_rows(cells: list[_Cell], reference: str, conf_level: float) -> Iterator[dict[str, object]]:
    baseline = {cell.month: cell for cell in cells if cell.group == reference}
    for cell in cells:
        if cell.group == reference:
            continue
        other = baseline[cell.month]
        difference = cell.estimate - other.estimate
        row: dict[str, object] = {
            "contrast": f"{cell.group} v {reference}",
            "time": cell.month,
            "statistic": "standardised_risk_difference",
            "estimate": difference,
            "n": cell.rows + other.rows,
            "n_events": cell.events + other.events,
            "note": "; ".join(dict.fromkeys(note for note in (cell.note, other.note) if note)) or None,
        }
        if cell.influence is not None and other.influence is not None:
            std_error = float(np.sqrt(np.sum((cell.influence - other.influence) ** 2)))
            half_width = normal_quantile(conf_level) * std_error
            row |= {
                "std_error": std_error,
                "conf_low": difference - half_width,
                "conf_high": difference + half_width,
                "p_value": float(2 * ndtr(-abs(difference) / std_error)),
            }
        yield row


def _refuse_changing(changed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], names: tuple[str, ...]) -> None:
    changing = [name for place, name in enumerate(names) if changed[:, place].any()]
    if changing:
        raise AnalysisError(
            "the value changes within a patient",
            where=f"{_WHERE}, {', '.join(changing)}",
            got=f"{int(changed.any(axis=1).sum())} rows unlike the patient's first",
            remedy="use the baseline value on every row",
        )


def _refuse_collinear(baseline: FloatArray, terms: tuple[str, ...]) -> None:
    collinear = collinear_columns(np.column_stack([np.ones(len(baseline)), baseline]))
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where=f"{_WHERE}, adjust",
            got=", ".join(terms[index - 1] for index in collinear),
            remedy="leave these terms out",
        )
