"""The published rates come back from raw laboratory values, for 200 seeds, by two independent derivations."""

from __future__ import annotations

from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import pytest

from cohort.definitions import KIM2025, KIM2025_STRICT
from cohort.record import RESPONSE_MEASURES, Measure, Study
from cohort.response import derive_responses
from cohort.rounding import percentage_prints_as
from cohort.store import Cohort
from cohort.targets import load_study
from synthetic.generate import generate_exact
from synthetic.reconstruct import Reconstruction, reconstruct

# Written from the definition's words, sharing nothing with cohort.response: decimals of the printed laboratory values,
# the CKD-EPI 2021 equation spelled out, and one row per scheduled visit after day 0.
# A comparison with a missing value is neither true nor false, `null or true` is true and `null and false` is false: a
# state is given only where known clauses decide. (`least` and `greatest` pass over nulls, hence the guard of the eGFR;
# a creatinine too high for any normal baseline is refused apart.)
SQL = """
with start as (
    select patient_id, upcr_g_g::decimal(9, 2) as upcr, serum_creatinine_mg_dl::decimal(9, 2) as creatinine
    from visits where visit_month = 0
), judged as (
    select
        p.arm, v.visit_month as month,
        v.upcr_g_g::decimal(9, 2) as upcr,
        v.serum_creatinine_mg_dl::decimal(9, 2) as creatinine,
        start.upcr as upcr_0, start.creatinine as creatinine_0,
        case p.sex when 'female' then 1.0::decimal(9, 2) else 1.2::decimal(9, 2) end as upper_limit,
        case when v.serum_creatinine_mg_dl is not null then round(142
            * pow(least(v.serum_creatinine_mg_dl / case p.sex when 'female' then 0.7 else 0.9 end, 1),
                  case p.sex when 'female' then -0.241 else -0.302 end)
            * pow(greatest(v.serum_creatinine_mg_dl / case p.sex when 'female' then 0.7 else 0.9 end, 1), -1.2)
            * pow(0.9938, p.age_years + v.day / 365.25)
            * case p.sex when 'female' then 1.012 else 1 end, 1) end as egfr
    from visits v join patients p using (patient_id) join start using (patient_id)
    where v.visit_month > 0
), clauses as (
    select arm, month,
        upcr < 0.5 and (creatinine <= upper_limit
                        or (creatinine_0 <= upper_limit and creatinine * 100 < creatinine_0 * 115
                            and creatinine * 100 < upper_limit * 115)) as complete,
        upcr * 2 <= upcr_0 and upcr < 3.5 and egfr >= 60 as partial
    from judged
), states as (
    select arm, month, case
        when complete then 'CR'
        when not complete and partial then 'PR'
        when not complete and not partial then 'NR' end as state
    from clauses
)
select arm, month::integer as month, count(state)::integer as assessed,
    count(*) filter (where state = 'CR')::integer as complete,
    count(*) filter (where state = 'PR')::integer as partial,
    count(*) filter (where state = 'NR')::integer as none
from states group by arm, month order by arm, month
"""


def by_sql(cohort: Cohort) -> pd.DataFrame:
    with duckdb.connect() as connection:
        connection.register("patients", cohort.patients)
        connection.register("visits", cohort.visits)
        return connection.sql(SQL).df()


def by_python(cohort: Cohort, definition: object = KIM2025) -> pd.DataFrame:
    derived = derive_responses(cohort.patients, cohort.visits, definition)  # type: ignore[arg-type]
    states = derived.merge(cohort.patients[["patient_id", "arm"]], on="patient_id")
    wide = pd.crosstab([states["arm"], states["visit_month"]], states["response"])
    return (
        wide.assign(assessed=wide.sum(axis=1))
        .rename_axis(["arm", "month"])
        .rename_axis(None, axis=1)
        .rename(columns={"CR": "complete", "PR": "partial", "NR": "none"})
        .reset_index()
    )


def assert_same_counts(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    columns = ["arm", "month", "assessed", "complete", "partial", "none"]
    tidy = [frame[columns].sort_values(["arm", "month"], ignore_index=True) for frame in (found, wanted)]
    pd.testing.assert_frame_equal(*tidy, check_dtype=False)


@pytest.fixture(scope="module")
def record() -> Study:
    return load_study("kim2025")


@pytest.fixture(scope="module")
def reconstruction(record: Study) -> Reconstruction:
    return reconstruct(record)


@pytest.mark.parametrize(
    "block", [pytest.param(block, marks=pytest.mark.slow if block >= 1 else ()) for block in range(10)]
)
def test_two_derivations_of_200_seeds_give_the_reconstructed_counts(
    block: int, record: Study, reconstruction: Reconstruction
) -> None:
    for seed in range(20 * block, 20 * block + 20):
        cohort = generate_exact(record, seed=seed, reconstruction=reconstruction).cohort
        assert_same_counts(by_python(cohort), reconstruction.counts)
        assert_same_counts(by_python(cohort, KIM2025_STRICT), reconstruction.counts)
        assert_same_counts(by_sql(cohort), reconstruction.counts)


def test_two_derivations_agree_where_values_are_missing(record: Study) -> None:
    made = generate_exact(record, seed=2025).cohort
    random = np.random.default_rng(3)
    holes = {
        name: made.visits[name].mask(random.random(len(made.visits)) < 0.2)
        for name in ("upcr_g_g", "serum_creatinine_mg_dl")
    }
    # Values where response turns, so that the halves of every clause are met and missed.
    raised = holes["serum_creatinine_mg_dl"] * random.choice([1.0, 1.1, 1.3, 1.6], len(made.visits))
    cohort = replace(made, visits=made.visits.assign(**holes | {"serum_creatinine_mg_dl": raised.round(2)}))
    found = by_python(cohort)
    assert found["assessed"].sum() < 0.8 * len(derive_responses(cohort.patients, cohort.visits, KIM2025))
    assert_same_counts(by_sql(cohort), found)


def test_every_reported_rate_prints_as_published(record: Study) -> None:
    counts = by_sql(generate_exact(record, seed=2025).cohort).set_index(["arm", "month"])
    counts["overall"] = counts["complete"] + counts["partial"]
    column = {
        Measure.COMPLETE_RESPONSE: "complete",
        Measure.PARTIAL_RESPONSE: "partial",
        Measure.OVERALL_RESPONSE: "overall",
    }
    checked = 0
    for target in record.targets:
        if target.measure in RESPONSE_MEASURES and target.value is not None and target.arm is not None:
            if target.superseded_by is not None:
                continue
            cell = counts.loc[(target.arm, target.month)]
            assert percentage_prints_as(cell[column[target.measure]], cell["assessed"], target.value), target.id
            checked += 1
    assert checked == 12


def test_alternative_reconstruction_is_generated_as_exactly(record: Study) -> None:
    alternative = reconstruct(record, alternative="B")
    cohort = generate_exact(record, seed=7, reconstruction=alternative).cohort
    assert_same_counts(by_sql(cohort), alternative.counts)
