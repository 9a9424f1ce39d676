"""Restriction of an adjusted analysis to the patients with every covariate, which says whom it leaves out."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cohort.errors import AnalysisError
from cohort.results import ResultTable

COMPLETE_CASES = "complete cases: "
"""How the remark on patients left out begins; it ends the note."""


@dataclass(frozen=True, slots=True)
class CompleteCases:
    """Rows without missing covariates.

    Attributes
    ----------
    rows
        Rows of the data, in their order and on their index.
    remark
        How many patients are left out for which missing covariates; empty where nobody is.
    """

    rows: pd.DataFrame
    remark: str

    def noted(self, table: ResultTable) -> ResultTable:
        """Return ``table`` with the remark at the end of the note of each row."""
        if not self.remark:
            return table
        note = (table.frame["note"] + "; ").fillna("") + self.remark
        return ResultTable(table.frame.assign(note=note), table.metadata)


def complete_cases(data: pd.DataFrame, formula: str, *, subject_col: str = "patient_id") -> CompleteCases:
    """Keep the rows in which every column of a formula has a value.

    Estimators refuse missing values; this is the place where an analysis decides to go on without the patients
    concerned. The estimates then speak of patients like those with every value: that is unbiased only if values are
    missing for reasons unrelated to treatment and outcome, given the covariates.

    Parameters
    ----------
    data
        One row per patient, or several.
    formula
        Right-hand side; names that are no columns are left to the estimator to refuse.
    subject_col
        Column of the patient, in which patients are counted.

    Returns
    -------
    CompleteCases
        The remark reads ``complete cases: 140 of 179 patients, left out for missing log_upcr (20), albumin_g_dl
        (21)``; a patient may lack several values.

    Raises
    ------
    AnalysisError
        When nobody has every value.

    Examples
    --------
    >>> data = pd.DataFrame({"patient_id": ["a", "b", "c"], "age_years": [30.0, None, 50.0]})
    >>> complete_cases(data, "age_years").remark
    'complete cases: 2 of 3 patients, left out for missing age_years (1)'
    """
    from formulaic import Formula

    used = set(map(str, Formula(formula).required_variables))
    columns = [str(name) for name in data.columns if str(name) in used]
    lacking = data[columns].isna()
    kept = data[~lacking.any(axis="columns").to_numpy(dtype=bool)]
    if len(kept) == len(data):
        return CompleteCases(data, "")
    patients = data[subject_col]
    counts = {name: patients[lacking[name].to_numpy(dtype=bool)].nunique() for name in columns}
    listed = ", ".join(f"{name} ({number})" for name, number in counts.items() if number)
    if not len(kept):
        raise AnalysisError(
            "no patient has every covariate",
            where=f"formula {formula!r}",
            got=f"{patients.nunique()} patients, missing {listed}",
            remedy="impute the values, or leave the covariates out",
        )
    total, left = patients.nunique(), kept[subject_col].nunique()
    return CompleteCases(kept, f"{COMPLETE_CASES}{left} of {total} patients, left out for missing {listed}")
