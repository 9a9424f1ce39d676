"""How much the estimate owes to each covariate: the comparison with one of them at a time left out of the score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from analyses.propensity import PropensityFit
from analyses.propensity.weights import Estimand
from analyses.sensitivity.repeated import Outcome, RepeatedComparison, Row, several
from cohort.errors import UsageError
from cohort.results import ResultTable, result_table

EVERY_COVARIATE = "every covariate"
"""``population`` of the comparison with the whole adjustment set."""
WITHOUT = "without "
"""How the ``population`` of a comparison begins that leaves a covariate out."""

_WHERE = "leave_one_covariate_out"
_NO_INTERVAL = "no interval: both estimates come from the same patients"


def leave_one_covariate_out(
    data: pd.DataFrame,
    *,
    treatment_col: str,
    treated: object,
    covariates: Sequence[str],
    outcomes: Sequence[Outcome] | Outcome,
    estimand: Estimand = "ATE",
    patient_col: str = "patient_id",
    conf_level: float = 0.95,
) -> ResultTable:
    """Repeat a weighted comparison with each covariate of the adjustment set left out of the score in turn.

    An estimate that moves when a covariate goes owes part of its adjustment to it: if that covariate were measured
    badly, or a comparable one not at all, it would be as far off. One that hardly moves says nothing about
    covariates that are unlike all those measured.

    Parameters
    ----------
    data
        One row per patient.
    treatment_col, treated
        Column of the arm (two levels) and its treated level.
    covariates
        Columns of the data, or terms of a formula, at least two.
    outcomes
        What is compared; see :class:`analyses.comparison.BinaryOutcome` and
        :class:`analyses.comparison.EventOutcome` (without ``times`` and ``cause``).
    estimand
        Of the weights.
    patient_col
        Column of the patient, for outcomes at visits. Visits of patients that are not in ``data`` play no part.
    conf_level
        Confidence level of the intervals.

    Returns
    -------
    ResultTable
        For ``population`` "every covariate" and then "without NAME" for each covariate: per outcome (``term``) and
        visit the weighted ``risk_difference``, ``log_hazard_ratio`` or ``restricted_mean_difference`` with a variance
        that accounts for the score; without a covariate also ``change_in_`` that statistic, the estimate minus that
        with every covariate, and ``smd_unadjusted`` and ``smd_adjusted`` of the covariate left out (``term`` the
        covariate or its level) under the weights that do not know it. With every covariate ``smd_adjusted`` of all of
        them.

    Raises
    ------
    AnalysisError
        The score of every covariate cannot be fitted, missing values, unknown columns, not two arms.
    UsageError
        Fewer than two covariates, one named twice, no outcome, ``conf_level`` out of range.

    References
    ----------
    Rosenbaum PR. Observational Studies, 2nd ed. 2002, chapter 3. doi:10.1007/978-1-4757-3692-2. Cinelli C,
    Hazlett C. Making sense of sensitivity: extending omitted variable bias. J R Stat Soc B 2020;82:39-67.
    doi:10.1111/rssb.12348 (measured covariates as benchmarks of unmeasured ones)

    Examples
    --------
    >>> from analyses.comparison import BinaryOutcome
    >>> data = pd.DataFrame({"arm": list("aaaabbbb"), "x": [0, 0, 0, 1, 0, 1, 1, 1], "z": [0, 1, 0, 1, 1, 0, 1, 0]})
    >>> table = leave_one_covariate_out(
    ...     data.assign(cured=[1, 0, 1, 0, 1, 0, 0, 1]), treatment_col="arm", treated="a", covariates=["x", "z"],
    ...     outcomes=BinaryOutcome("cured"),
    ... )
    >>> kept = table.frame[table.frame["statistic"] == "risk_difference"]
    >>> dict(zip(kept["population"], kept["estimate"].round(3), strict=True))
    {'every covariate': -0.333, 'without x': 0.0, 'without z': -0.333}
    """
    names = list(covariates)
    if len(names) < 2 or len(set(names)) < len(names):
        raise UsageError(
            "leaving one out needs two covariates or more, each once",
            where=f"{_WHERE}, covariates",
            got=", ".join(names) or "none",
            remedy="name the adjustment set; for one covariate, compare weighted with unadjusted",
        )
    comparison = RepeatedComparison(
        data, several(outcomes, where=_WHERE), treatment_col, treated, estimand, patient_col, conf_level, _WHERE
    )
    full = comparison.score(" + ".join(names))
    reference = comparison.contrasts(full.estimated_weights(estimand))
    rows = [row | {"population": EVERY_COVARIATE} for row in [*reference, *_balance(full, full, estimand, ())]]
    for name in names:
        left = [other for other in names if other != name]
        made = _without(comparison, full, reference, name, " + ".join(left))
        rows += [row | {"population": f"{WITHOUT}{name}"} for row in made]
    spec = {"function": _WHERE, "treatment_col": treatment_col, "treated": str(treated), "covariates": names,
            "estimand": estimand, "conf_level": conf_level}  # fmt: skip
    return result_table(rows, metadata={"spec": spec}, analysis="sensitivity")


def _without(
    comparison: RepeatedComparison, full: PropensityFit, reference: Sequence[Row], name: str, formula: str
) -> Iterator[Row]:
    """Yield the estimates of the score without a covariate, their changes, and that covariate's balance."""
    only = columns_of(name, full.data)
    fit = comparison.score(formula)  # nested in that of every covariate, so it exists where that does
    for row, before in zip(comparison.contrasts(fit.estimated_weights(comparison.estimand)), reference, strict=True):
        yield row
        yield _change(row, before)
    yield from _balance(full, fit, comparison.estimand, only)


def _change(row: Row, before: Row) -> Row:
    shared = {key: row[key] for key in ("term", "contrast", "time", "time_unit", "n", "n_events")}
    shared |= {"statistic": f"change_in_{row['statistic']}", "method": "estimate minus that with every covariate"}
    change = float(str(row["estimate"])) - float(str(before["estimate"]))
    return shared | {"estimate": change, "note": _NO_INTERVAL if change == change else "an estimate is missing"}


def _balance(full: PropensityFit, fit: PropensityFit, estimand: Estimand, only: Sequence[str]) -> Iterator[Row]:
    """Yield differences of the arms under the weights of ``fit``: adjusted of all, or both kinds of some columns."""
    weights = fit.weights(estimand)
    table = full.balance(weights, variables=only or None, estimand=estimand, measures=("smd",))
    kinds = ("smd_unadjusted", "smd_adjusted") if only else ("smd_adjusted",)
    frame = table.frame[table.frame["statistic"].isin(kinds).to_numpy(dtype=bool)]
    for place in range(len(frame)):
        row = {str(key): value for key, value in frame.iloc[place].items() if key not in ("analysis", "population")}
        yield row | ({"method": fit.estimated_weights(estimand).description} if row["statistic"] == kinds[-1] else {})


def columns_of(term: str, data: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that a term of a formula uses, in the order of the data."""
    if term in data.columns:
        return (term,)
    from formulaic import Formula

    used = set(map(str, Formula(term).required_variables))
    return tuple(str(name) for name in data.columns if str(name) in used)
