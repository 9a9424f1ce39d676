"""The baseline table: each covariate by arm, its standardised difference and its test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from analyses.columns import BoolArray, FloatArray, as_text, require_columns, require_complete
from analyses.kernels.proportions import pearson_chi_square
from analyses.propensity.balance import SMD_METHOD, sample_variance, standardised_difference
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

_NOT_DESCRIBED = ("patient_id",)
_WELCH = "Welch t-test, two-sided"
_CHI_SQUARE = "Pearson chi-square test, no continuity correction"
_SMALL_EXPECTED_COUNT = 5.0


@dataclass(frozen=True, slots=True)
class _Arms:
    """The arms in the order of the table, one or two, with the rows of each."""

    names: tuple[str, ...]
    treated: BoolArray

    @property
    def compared(self) -> bool:
        return len(self.names) == 2

    @property
    def contrast(self) -> str:
        return " v ".join(self.names)

    def rows(self) -> Iterator[tuple[str, BoolArray]]:
        yield self.names[0], self.treated
        if self.compared:
            yield self.names[1], ~self.treated


def baseline_table(
    data: pd.DataFrame, *, group_col: str, reference: str | None, variables: Sequence[str] | None = None
) -> ResultTable:
    """Describe baseline covariates by arm ("Table 1").

    Missing values are left out variable by variable and counted; nothing is imputed.

    Parameters
    ----------
    data
        One row per patient.
    group_col
        Column of the arm, with exactly two levels and no missing value; one level without a ``reference``.
    reference
        The arm the other is compared with; it comes second. ``None`` describes a single arm: no row compares.
    variables
        Columns to describe, in order; by default every column but ``group_col``, ``patient_id`` and dates.

    Returns
    -------
    ResultTable
        Variable by variable, rows told apart by ``statistic``:

        - numeric, per ``group``: ``mean``, ``sd`` (n - 1), ``median``, ``q1``, ``q3`` (linear interpolation between
          order statistics), with ``n`` the patients observed;
        - boolean and categorical, per level and ``group``: ``count`` and ``proportion`` (of the patients observed, with
          ``n_events`` the count). ``term`` reads ``isn_rps_class=V``; a boolean shows its True level
          only, under the column's name;
        - per variable and ``group``: ``missing``, the number of patients without a value, with ``n`` the arm's size;
        - per term: ``smd`` on ``contrast``, denominator ``sqrt((s1^2 + s0^2) / 2)`` from sample variances (n - 1), for
          binary covariates too;
        - per variable: ``difference_test`` with ``p_value``, ``estimate`` the test statistic and ``method`` the test:
          Welch's t for numeric, Pearson's chi-square for others.

        What cannot be computed (a covariate that does not vary, an arm without values) is missing with a note.

    Raises
    ------
    AnalysisError
        Unknown column, no rows, a missing arm, not two arms, ``reference`` not an arm, a date among ``variables``.

    References
    ----------
    Austin PC. Stat Med 2009;28:3083-3107. doi:10.1002/sim.3697. Welch BL. Biometrika 1947;34:28-35.
    doi:10.1093/biomet/34.1-2.28

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"arm": ["a", "a", "b", "b"], "age_years": [30.0, 40.0, 50.0, 60.0]})
    >>> table = baseline_table(data, group_col="arm", reference="b").frame
    >>> table.loc[table["statistic"] == "mean", ["group", "estimate"]].to_numpy().tolist()
    [['a', 35.0], ['b', 55.0]]
    """
    require_complete(data, [group_col], where="baseline_table")
    arms = _arms(data, group_col, reference)
    names = _default_variables(data, group_col) if variables is None else list(variables)
    require_columns(data, names, where="baseline_table")
    rows: list[dict[str, object]] = []
    for name in names:
        if pd.api.types.is_datetime64_any_dtype(data[name]):
            raise AnalysisError(
                "a date is not described",
                where=f"baseline_table, column {name}",
                remedy="turn it into a number, for instance the calendar year",
            )
        observed = np.asarray(data[name].notna().to_numpy(), dtype=np.bool_)
        is_number = pd.api.types.is_numeric_dtype(data[name]) and not pd.api.types.is_bool_dtype(data[name])
        rows.extend(_numeric_rows(data[name], observed, arms) if is_number else _level_rows(data[name], observed, arms))
    return result_table(
        rows,
        metadata={
            "spec": {
                "function": "baseline_table",
                "group_col": group_col,
                "reference": reference,
                "variables": names,
            }
        },
        analysis="describe",
    )


def _default_variables(data: pd.DataFrame, group_col: str) -> list[str]:
    return [
        str(name)
        for name in data.columns
        if name != group_col and name not in _NOT_DESCRIBED and not pd.api.types.is_datetime64_any_dtype(data[name])
    ]


def _arms(data: pd.DataFrame, group_col: str, reference: str | None) -> _Arms:
    arm = as_text(data[group_col])
    levels = sorted(set(arm.tolist()))
    if reference is None and len(levels) == 1:
        return _Arms((levels[0],), np.ones(len(data), dtype=np.bool_))
    if reference is None or len(levels) != 2 or reference not in levels:
        raise AnalysisError(
            f"two arms are needed, one of them the reference {reference}"
            if reference
            else "one arm without a reference",
            where=f"baseline_table, column {group_col}",
            got=", ".join(levels),
            remedy="restrict the data to two arms and name one of them as reference",
        )
    other = next(level for level in levels if level != reference)
    return _Arms((other, reference), arm == other)


def _numeric_rows(column: pd.Series, observed: BoolArray, arms: _Arms) -> Iterator[dict[str, object]]:
    term = str(column.name)
    values = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    for group, rows in arms.rows():
        own = values[rows & observed]
        for statistic, estimate in _summaries(own):
            note = None if not np.isnan(estimate) else f"{len(own)} observed values are too few"
            yield {
                "group": group,
                "term": term,
                "statistic": statistic,
                "estimate": estimate,
                "n": len(own),
                "note": note,
            }
        yield _missing_row(group, term, rows, observed)
    if arms.compared:
        yield _smd_row(term, values[observed], arms.treated[observed], arms.contrast)
        yield _welch_row(term, values[observed], arms.treated[observed], arms.contrast)


def _summaries(values: FloatArray) -> list[tuple[str, float]]:
    if not len(values):
        return [(name, float("nan")) for name in ("mean", "sd", "median", "q1", "q3")]
    q1, median, q3 = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
    sd = sample_variance(values) ** 0.5 if len(values) > 1 else float("nan")
    return [("mean", float(values.mean())), ("sd", sd), ("median", median), ("q1", q1), ("q3", q3)]


def _level_rows(column: pd.Series, observed: BoolArray, arms: _Arms) -> Iterator[dict[str, object]]:
    name = str(column.name)
    text = as_text(column[observed])
    treated = arms.treated[observed]
    levels = sorted(set(text.tolist()))
    is_boolean = bool(levels) and set(levels) <= {"False", "True"}
    for level in ["True"] if is_boolean else levels:
        term = name if is_boolean else f"{name}={level}"
        indicator = text == level
        for group, rows in arms.rows():
            own = rows[observed]
            count, patients = int(indicator[own].sum()), int(own.sum())
            shared = {"group": group, "term": term, "n": patients}
            yield shared | {"statistic": "count", "estimate": count}
            yield shared | {
                "statistic": "proportion",
                "estimate": count / patients if patients else np.nan,
                "n_events": count,
                "note": None if patients else "0 observed values are too few",
            }
        if arms.compared:
            yield _smd_row(term, indicator.astype(np.float64), treated, arms.contrast)
    for group, rows in arms.rows():
        yield _missing_row(group, name, rows, observed)
    if not arms.compared:
        return
    counts = [[int(np.sum(text[own] == level)) for level in levels] for own in (treated, ~treated)]
    yield _chi_square_row(name, counts, len(text), arms.contrast)


def _missing_row(group: str, term: str, rows: BoolArray, observed: BoolArray) -> dict[str, object]:
    return {
        "group": group,
        "term": term,
        "statistic": "missing",
        "estimate": int(np.sum(rows & ~observed)),
        "n": int(rows.sum()),
    }


def _smd_row(term: str, values: FloatArray, treated: BoolArray, contrast: str) -> dict[str, object]:
    smd = standardised_difference(values, treated)
    return {
        "contrast": contrast,
        "term": term,
        "statistic": "smd",
        "estimate": smd,
        "n": len(values),
        "method": SMD_METHOD,
        "note": "no variation in either arm, or fewer than two values in one" if np.isnan(smd) else None,
    }


def _welch_row(term: str, values: FloatArray, treated: BoolArray, contrast: str) -> dict[str, object]:
    one, zero = values[treated], values[~treated]
    row: dict[str, object] = {
        "contrast": contrast,
        "term": term,
        "statistic": "difference_test",
        "n": len(values),
        "method": _WELCH,
    }
    if min(len(one), len(zero)) < 2:
        return row | {"note": "fewer than two values in an arm: nothing to test"}
    errors = np.array([sample_variance(one) / len(one), sample_variance(zero) / len(zero)])
    if errors.sum() == 0:
        return row | {"note": "no variation in either arm: nothing to test"}
    statistic = float((one.mean() - zero.mean()) / np.sqrt(errors.sum()))
    degrees = errors.sum() ** 2 / np.sum(errors**2 / np.array([len(one) - 1, len(zero) - 1]))
    return row | {"estimate": statistic, "p_value": float(2 * stdtr(degrees, -abs(statistic)))}


def _chi_square_row(term: str, counts: list[list[int]], patients: int, contrast: str) -> dict[str, object]:
    row: dict[str, object] = {
        "contrast": contrast,
        "term": term,
        "statistic": "difference_test",
        "n": patients,
        "method": _CHI_SQUARE,
    }
    if len(counts[0]) < 2 or min(sum(arm) for arm in counts) == 0:
        return row | {"note": "a single level, or an arm without values: nothing to test"}
    test = pearson_chi_square(counts)
    small = test.smallest_expected < _SMALL_EXPECTED_COUNT
    return row | {
        "estimate": test.statistic,
        "p_value": test.p_value,
        "note": f"smallest expected count {test.smallest_expected:.1f}" if small else None,
    }
