"""Protects the claim that landmark and delayed entry remove the immortal-time bias of comparing responders naively."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.datasets import AnalysisData
from analyses.survival import fit_cox, landmark, since_first_response
from cohort.codes import DAYS_PER_MONTH
from cohort.store import Cohort

MONTHS = (6, 12, 24, 36, 60)


def null_cohort(patients: int, seed: int) -> AnalysisData:
    """Deaths at one constant hazard; at each visit those alive respond by a coin that knows nothing of the death."""
    rng = np.random.default_rng(seed)
    names = np.array([f"p{number:05d}" for number in range(patients)])
    death = np.ceil(rng.exponential(1200, patients))
    end = np.minimum(death, 1826)
    baseline = pd.DataFrame({"patient_id": names, "arm": "x", "follow_up_days": end.astype(int)})
    seen = [
        pd.DataFrame(
            {"patient_id": names[alive], "visit_month": month, "day": day, "hit": rng.uniform(size=alive.sum())}
        )
        for month in MONTHS
        for day in [round(month * DAYS_PER_MONTH)]
        for alive in [end > day]
    ]
    visits = pd.concat(seen, ignore_index=True)
    visits = visits.assign(response=np.where(visits["hit"] < 0.35, "CR", "NR"))
    died = death <= 1826
    years = end / 365.25
    events = pd.DataFrame({"patient_id": names[died], "day": death[died].astype(int), "event": "death"})
    empty = pd.DataFrame()
    return AnalysisData(
        baseline=baseline,
        responses=visits[["patient_id", "visit_month", "response"]],
        not_assessable=empty,
        missing=empty,
        event_free=baseline.assign(
            years=years, event=died.astype(int), cause=2 * died, poor_outcome_years=years, poor_outcome=died.astype(int)
        ),
        flares=pd.DataFrame({"patient_id": np.empty(0, dtype=object), "day": np.empty(0, dtype=np.int64)}),
        treated="x",
        reference=None,
        months=(0, *MONTHS),
        horizon_years=5.0,
        cohort=Cohort(baseline, visits[["patient_id", "visit_month", "day"]], empty, events, study="simulated"),
    )


def effects(data: AnalysisData) -> dict[str, tuple[float, float]]:
    """Log hazard ratio of responders against the others and its standard error, in three ways."""
    split = since_first_response(data)
    ever = split.groupby("patient_id")["responded"].max()
    naive = data.event_free.assign(responded=data.event_free["patient_id"].map(ever))
    at_one_year = landmark(data, at_years=1.05).rows.assign(responded=lambda rows: (rows["state"] == "CR").astype(int))
    fits = {
        "naive": fit_cox(naive, "responded", duration_col="years", event_col="event"),
        "landmark": fit_cox(at_one_year, "responded", duration_col="years", event_col="event"),
        "delayed entry": fit_cox(split, "responded", duration_col="stop", entry_col="start", event_col="event"),
    }
    return {name: (fit.coefficients.item(), fit.std_errors.item()) for name, fit in fits.items()}


def test_only_the_naive_comparison_finds_an_effect_where_there_is_none() -> None:
    """Response says nothing about death here. Naively it seems to halve the hazard, since to respond one must live."""
    found = effects(null_cohort(3000, seed=1))
    assert found["naive"][0] < np.log(0.6)
    assert found["naive"][0] / found["naive"][1] < -10
    for way in ("landmark", "delayed entry"):
        estimate, error = found[way]
        assert abs(estimate) < 4 * error
        assert error < 0.08


@pytest.mark.slow
def test_over_many_cohorts_of_179_the_two_remedies_are_centred_on_no_effect() -> None:
    """Means over 100 cohorts lie within four Monte Carlo standard errors of zero; the naive mean lies far off."""
    draws = [effects(null_cohort(179, seed=seed)) for seed in range(100, 200)]
    for way in ("landmark", "delayed entry", "naive"):
        estimates = np.array([draw[way][0] for draw in draws])
        mean, error = estimates.mean(), estimates.std(ddof=1) / np.sqrt(len(estimates))
        if way == "naive":
            assert mean < np.log(0.6)
        else:
            assert abs(mean) < 4 * error, way
