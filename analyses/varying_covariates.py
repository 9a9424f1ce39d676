"""Covariates that can adjust: patients who have them all, and only those that differ between patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from analyses.complete_cases import CompleteCases, complete_cases
from cohort.errors import AnalysisError
from cohort.results import ResultTable

UNVARYING = "not adjusted for, since all patients agree: "
"""How the remark on covariates that do not vary begins; it stands before that on complete cases."""


@dataclass(frozen=True, slots=True)
class Covariates:
    """Patients and covariates of an adjusted analysis.

    Attributes
    ----------
    rows
        Rows without missing covariates, in the order and on the index of the data.
    columns
        The covariates that vary among them.
    remark
        Which covariates do not vary; empty where all do.
    """

    rows: pd.DataFrame
    columns: tuple[str, ...]
    remark: str
    _cases: CompleteCases

    @property
    def formula(self) -> str:
        """Right-hand side of a model of all of them."""
        return self.formula_of(self.columns)

    def formula_of(self, names: Sequence[str]) -> str:
        """Return the right-hand side of a model of those of ``names`` that vary.

        Raises
        ------
        AnalysisError
            If none does.
        """
        varying = [name for name in names if name in self.columns]
        if not varying:
            raise AnalysisError(
                "no covariate varies", where="design", got=", ".join(names), remedy="adjust for something that differs"
            )
        return " + ".join(varying)

    def noted(self, table: ResultTable) -> ResultTable:
        """Return ``table`` with what was left out, covariates and patients, at the end of the note of each row."""
        if self.remark:
            note = (table.frame["note"] + "; ").fillna("") + self.remark
            table = ResultTable(table.frame.assign(note=note), table.metadata)
        return self._cases.noted(table)


def varying_covariates(data: pd.DataFrame, *sets: Sequence[str]) -> Covariates:
    """Keep the patients with every covariate, and the covariates that differ between them.

    A cohort of one biopsy class has nothing to adjust for in the class: a constant is no reason to refuse a model of
    the others.

    Parameters
    ----------
    data
        One row per patient, or several.
    sets
        Columns of one model or more.

    Raises
    ------
    AnalysisError
        When nobody has every value.

    Examples
    --------
    >>> data = pd.DataFrame({"patient_id": ["a", "b"], "age_years": [30.0, 50.0], "class_v": [True, True]})
    >>> found = varying_covariates(data, ["age_years", "class_v"])
    >>> found.formula, found.remark
    ('age_years', 'not adjusted for, since all patients agree: class_v')
    """
    names = list(dict.fromkeys(name for one in sets for name in one))
    cases = complete_cases(data, " + ".join(names))
    columns = tuple(name for name in names if cases.rows[name].nunique() > 1)
    constant = [name for name in names if name not in columns]
    return Covariates(cases.rows, columns, f"{UNVARYING}{', '.join(constant)}" if constant else "", cases)
