"""Every study the package carries gives exact cohorts whose laboratory values derive to its reconstructed counts."""

from __future__ import annotations

import pytest

from cohort.definitions import KDIGO_2012, KIM2025
from cohort.flare import derive_flares
from cohort.response import derive_responses
from cohort.targets import available_studies, load_study
from cohort.validation import validate_cohort
from synthetic.generate import generate_exact
from synthetic.reconstruct import reconstruct


@pytest.mark.parametrize("name", available_studies())
def test_counts_and_flares_are_exact(name: str) -> None:
    study = load_study(name)
    table = reconstruct(study)
    cohort = generate_exact(study, seed=3, reconstruction=table).cohort
    findings = validate_cohort(cohort, arms=[arm.code for arm in study.arms], response=KIM2025)
    assert findings.empty, findings.to_string()

    arms = cohort.patients[["patient_id", "arm"]]
    derived = derive_responses(cohort.patients, cohort.visits, KIM2025).merge(arms)
    found = derived.groupby(["arm", "visit_month", "response"]).size().unstack(fill_value=0)
    for row in table.counts.itertuples(index=False):
        cell = found.loc[(row.arm, row.month)].reindex(["CR", "PR", "NR"], fill_value=0).tolist()
        assert cell == [row.complete, row.partial, row.none], (row.arm, row.month)

    flares = derive_flares(cohort.patients, cohort.visits, KIM2025, KDIGO_2012).merge(arms)
    patients = flares.groupby("arm")["patient_id"].nunique()
    for row in table.flares.dropna(subset=["patients"]).itertuples(index=False):
        if row.month == max(study.visit_months):
            assert patients.get(row.arm, 0) == row.patients, row.target_id
