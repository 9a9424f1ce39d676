"""Replicates are independent cohorts of their own: each exact, numbered, and unmoved by how many others there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analyses.survival import logrank
from cohort.codes import ADVERSE_EVENTS, DAYS_PER_MONTH, NAMED_HARMS, Event
from cohort.definitions import KDIGO_2012, KIM2025
from cohort.errors import CohortDirectoryError, UsageError
from cohort.flare import derive_flares
from cohort.response import derive_responses
from cohort.store import read_cohort
from cohort.targets import load_study
from cohort.validation import validate_cohort
from synthetic.reconstruct import reconstruct
from synthetic.replicates import FIRST_BLOCK, ReplicateMode, ReplicatePlan, generate_replicates
from synthetic.stream import write_population


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("replicates") / "many"
    write_population(ReplicatePlan("kim2025", 7, FIRST_BLOCK + 3, blocks_per_part=1), target)
    return target


def test_every_replicate_has_the_reconstructed_counts_and_its_own_flares(written: Path) -> None:
    whole = read_cohort(written)
    number = whole.patients["patient_id"].str.split("-").str[1].astype(int)
    assert number.tolist() == sorted(number)
    assert number.nunique() == FIRST_BLOCK + 3
    key = whole.patients[["patient_id", "arm"]].assign(replicate=number)
    derived = derive_responses(whole.patients, whole.visits, KIM2025).merge(key)
    found = derived.groupby(["replicate", "arm", "visit_month", "response"]).size().unstack(fill_value=0)
    for row in reconstruct(load_study("kim2025")).counts.itertuples(index=False):
        cells = found.xs((row.arm, row.month), level=("arm", "visit_month"))[["CR", "PR", "NR"]]
        assert len(cells) == FIRST_BLOCK + 3
        assert (cells == [row.complete, row.partial, row.none]).all().all()
    flares = derive_flares(whole.patients, whole.visits, KIM2025, KDIGO_2012)
    events = whole.events[whole.events["event"] == "renal_flare"]
    assert set(zip(flares["patient_id"], flares["day"], strict=True)) == set(
        zip(events["patient_id"], events["day"], strict=True)
    )


def test_one_replicate_is_a_sound_cohort(written: Path) -> None:
    one = read_cohort(written, replicate=66)
    assert one.patients["arm"].value_counts().to_dict() == {"tacrolimus": 92, "no_tacrolimus": 87}
    findings = validate_cohort(one, arms=["tacrolimus", "no_tacrolimus"], response=KIM2025)
    assert findings.empty, findings.to_string()
    with pytest.raises(CohortDirectoryError, match=r"no such replicate; got 68"):
        read_cohort(written, replicate=68)


@pytest.mark.parametrize("replicate", [1, 2, 30, FIRST_BLOCK + 3])
def test_a_replicate_contradicts_no_finding(written: Path, replicate: int) -> None:
    one = read_cohort(written, replicate=replicate)
    arms = one.patients.set_index("patient_id")["arm"]
    treated = arms == "tacrolimus"
    last = one.visits[one.visits["visit_month"] == 60].set_index("patient_id")
    on = treated[last.index].to_numpy()
    for name in ("upcr_g_g", "egfr_ml_min_1_73m2", "c3_mg_dl", "c4_mg_dl", "anti_dsdna_iu_ml"):
        values = last[name].to_numpy()
        assert stats.mannwhitneyu(values[on], values[~on], method="asymptotic").pvalue >= 0.05, name
    for events in ((Event.RENAL_FLARE,), ADVERSE_EVENTS, *((event,) for event in NAMED_HARMS)):
        kind = [event.value for event in events]
        having = treated.index.isin(one.events.loc[one.events["event"].isin(kind), "patient_id"])
        table = pd.crosstab(having, treated.to_numpy())
        assert table.shape[0] == 1 or stats.chi2_contingency(table, correction=False).pvalue >= 0.05, kind
    for kind in (("eskd", "death"), ("renal_flare", "eskd", "death")):
        first = one.events[one.events["event"].isin(kind)].groupby("patient_id")["day"].min()
        horizon = np.minimum(one.patients.set_index("patient_id")["follow_up_days"], 60 * DAYS_PER_MONTH)
        day = first.reindex(horizon.index).fillna(np.inf)
        data = pd.DataFrame({"day": np.minimum(day, horizon), "failed": day <= horizon, "arm": arms})
        found = logrank(data, duration_col="day", event_col="failed", by="arm").frame
        assert found["p_value"].iloc[0] >= 0.05, kind
    class_v = pd.crosstab(treated, one.patients.set_index("patient_id")["isn_rps_class"] == "V")
    assert stats.chi2_contingency(class_v, correction=False).pvalue < 0.05


def test_a_single_cohort_holds_no_replicates(cohort_folder: Path) -> None:
    with pytest.raises(CohortDirectoryError, match="holds no replicates"):
        read_cohort(cohort_folder, replicate=1)


@pytest.mark.parametrize("mode", [ReplicateMode.EXACT, ReplicateMode.POPULATION])
def test_more_replicates_begin_with_the_same_ones(mode: ReplicateMode) -> None:
    few = generate_replicates("kim2025", replicates=2, seed=11, mode=mode)
    more = generate_replicates("kim2025", replicates=FIRST_BLOCK + 1, seed=11, mode=mode)
    for name, table in few.items():
        other = more[name].to_pandas()
        pd.testing.assert_frame_equal(
            table.to_pandas(), other[other["replicate"] <= 2].reset_index(drop=True), check_categorical=False
        )


def test_replicates_differ() -> None:
    table = generate_replicates("kim2025", replicates=3, seed=1)["patients"].to_pandas()
    ages = [group["age_years"].tolist() for _, group in table.groupby("replicate")]
    assert ages[0] != ages[1] != ages[2]


def test_at_least_one_replicate_is_needed() -> None:
    with pytest.raises(UsageError, match="at least one replicate"):
        ReplicatePlan("kim2025", 1, 0)


@pytest.mark.slow
def test_an_ensemble_says_which_table_each_replicate_has(tmp_path: Path) -> None:
    plan = ReplicatePlan("kim2025", 3, 5, ReplicateMode.ENSEMBLE)
    for name in ("one", "two"):
        write_population(plan, tmp_path / name, jobs=1 if name == "one" else 2)
    notes = read_cohort(tmp_path / "one").notes
    assert notes == read_cohort(tmp_path / "two").notes
    drawn = pd.DataFrame(notes["tables"])
    assert drawn["table"].nunique() == 16
    assert len(notes["table_of_replicate"]) == 5
    assert set(notes["table_of_replicate"]) <= set(drawn["table"])
    default = reconstruct(load_study("kim2025")).counts
    first = drawn[drawn["table"] == drawn["table"].iloc[0]]
    assert first["complete"].tolist() == default["complete"].tolist()
