"""Missing covariates of a score kept as what they are: filled with a constant, with a term that says so."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analyses.design_matrix import existing_column
from cohort.errors import AnalysisError

MISSING_LEVEL = "missing"
_SUFFIX = "_missing"


def with_missing_indicators(data: pd.DataFrame, formula: str) -> tuple[pd.DataFrame, str]:
    """Fill the missing values of a formula's columns and add terms that tell who lacked them.

    The score then conditions on what was measured and on whether it was. That removes confounding where treatment was
    chosen on what the physician saw: a value not measured could not be acted on.

    Parameters
    ----------
    data
        One row per patient; not changed.
    formula
        Right-hand side.

    Returns
    -------
    data, formula
        A numeric column with gaps holds its mean in them and ``<column>_missing`` is a new boolean column and term; any
        other holds the level ``missing``. Without gaps both are as given.

    Raises
    ------
    AnalysisError
        A column that nobody has, or data that already use one of the new names.

    References
    ----------
    Blake HA et al. Propensity scores using missingness pattern information: a practical guide. Stat Med
    2020;39:1641-1657. doi:10.1002/sim.8503

    Examples
    --------
    >>> filled, formula = with_missing_indicators(pd.DataFrame({"upcr_g_g": [1.0, None, 3.0]}), "upcr_g_g")
    >>> filled["upcr_g_g"].tolist(), filled["upcr_g_g_missing"].tolist(), formula
    ([1.0, 2.0, 3.0], [False, True, False], 'upcr_g_g + upcr_g_g_missing')
    """
    from formulaic import Formula

    frame, added = data.copy(), []
    needed = set(map(str, Formula(formula).required_variables))
    for name in [str(column) for column in data.columns if str(column) in needed]:
        column = data[name]
        gaps = column.isna().to_numpy(dtype=bool)
        if not gaps.any():
            continue
        if gaps.all():
            raise AnalysisError(
                "nobody has this covariate",
                where=f"fit_propensity, column {name!r}",
                got=f"{len(data)} of {len(data)} rows missing",
                remedy="leave it out",
            )
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            values = column.to_numpy(dtype=np.float64, na_value=np.nan)
            indicator = f"{name}{_SUFFIX}"
            _refuse_taken(data, indicator)
            frame[name] = np.where(gaps, values[~gaps].mean(), values)
            frame[indicator] = gaps
            added.append(indicator)
        else:
            text = column.astype("string").fillna(MISSING_LEVEL)
            if (text[~gaps] == MISSING_LEVEL).any():
                existing_column(data, name, role="fit_propensity, column")
            frame[name] = text.astype(object)
    return frame, " + ".join([formula, *added])


def _refuse_taken(data: pd.DataFrame, name: str) -> None:
    if name in data.columns:
        raise AnalysisError(
            "the name of a missing-value indicator is taken",
            where=f"fit_propensity, column {name!r}",
            remedy="rename that column",
        )
