"""Every case there is, every public estimator there is, and the bytes of what the cases give."""

from __future__ import annotations

import hashlib
import importlib
import json
import pkgutil
from pathlib import Path

import numpy as np
from estimator_cases.case import Case

import analyses
from cohort.results import ResultTable

NO_ROOMS = {
    "kernels": "arrays in: held by the estimators above them",
    "figures": "drawn from result tables",
    "report": "a page made of result tables",
    "reproduction": "compares result tables with print",
    "realism": "describes a whole cohort directory",
    "design": "what is asked and of whom, before anything is estimated",
    "simulation": "judges estimators over replicates: its rows are estimates",
    "plan": "which estimators run on a cohort, and in what order",
}
"""Packages of analyses that hold no estimators of a data frame, and what they are instead."""
NO_ESTIMATORS = {
    "sensitivity.e_value": "arithmetic on an estimate: there are no rows",
    **dict.fromkeys(
        (
            "longitudinal.LaboratoryCourse",
            "longitudinal.laboratory_course",
            "longitudinal.response_history",
            "longitudinal.response_visits",
            "longitudinal.visit_states",
            "response.first_response_intervals",
            "starts.SequentialTrials",
            "starts.TreatmentStarts",
            "starts.clone_rows",
            "starts.sequential_trial_rows",
            "starts.start_rows",
            "starts.treatment_starts",
            "survival.Landmark",
            "survival.landmark",
            "survival.recurrent_flares",
            "survival.since_first_response",
        ),
        "lays out rows from the tables of a cohort",
    ),
    "response.sustained_response_rates": "counts patients from the tables of a cohort",
    **dict.fromkeys(
        ("longitudinal.egfr_slopes", "longitudinal.proteinuria_course"), "fit_mixed on rows from the tables of a cohort"
    ),
    "response.median_first_response": "reads the median off a result table of curves",
    **dict.fromkeys(
        ("sensitivity.event_multiverse", "sensitivity.response_multiverse"),
        "multiverse on rows from the tables of a cohort",
    ),
    "propensity.balance_table": "lays out a result table for print",
    "propensity.crump_bound": "a number of an array of scores: trim_crump does it to a fit",
    "sensitivity.tipping_points": "arithmetic on an estimate: there are no rows",
}
"""Public names of the rooms that estimate nothing from a frame, and what they do instead."""


def rooms() -> tuple[str, ...]:
    """Return the names of the packages that hold estimators."""
    packages = {module.name for module in pkgutil.iter_modules(analyses.__path__) if module.ispkg}
    return tuple(sorted(packages - set(NO_ROOMS)))


def public_callables() -> dict[str, object]:
    """Return every function and class that a room exports, by dotted name."""
    found = {}
    for room in rooms():
        module = importlib.import_module(f"analyses.{room}")
        for name in module.__all__:
            if callable(getattr(module, name)):
                found[f"{room}.{name}"] = getattr(module, name)
    return found


def public_methods(kind: type) -> set[str]:
    """Return the names of the public methods of a class, but for `table`, in which the others lay out their rows."""
    return {name for name, member in vars(kind).items() if callable(member) and name[0] != "_"} - {"table"}


def all_cases() -> tuple[Case, ...]:
    """Return the cases of every module in this folder that has some."""
    here = Path(__file__).parent
    modules = [importlib.import_module(f"estimator_cases.{path.stem}") for path in sorted(here.glob("*.py"))]
    return tuple(case for module in modules for case in getattr(module, "CASES", ()))


def digest(case: Case) -> str:
    """Return the SHA-256 of everything a case gives: numbers at full precision, texts and metadata."""
    summary = hashlib.sha256()
    for name, output in case.outputs(case.table.rows()).items():
        summary.update(name.encode())
        if isinstance(output, ResultTable):
            summary.update(output.frame.to_csv().encode())
            summary.update(json.dumps(output.metadata, sort_keys=True).encode())
        else:
            summary.update(np.ascontiguousarray(output).tobytes())
    return summary.hexdigest()


def digests() -> dict[str, str]:
    """Return the digest of every case, by name."""
    return {case.name: digest(case) for case in all_cases()}


if __name__ == "__main__":
    print(json.dumps(digests()))  # noqa: T201
