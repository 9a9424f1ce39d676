"""Protects matching: what must stay or move along when rows, names, units and scales of the same patients change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import matched_rates
from analyses.propensity import Matching, fit_propensity, match_patients, subclassify

COLUMNS: dict[str, Any] = {"treatment_col": "arm", "treated": "t", "distance": "x"}
WAYS: dict[str, dict[str, Any]] = {
    "nearest": {},
    "caliper": {"caliper": 0.05},
    "exact": {"exact": ["kind"], "caliper": 0.1},
    "ratio": {"ratio": 2},
    "replace": {"ratio": 2, "replace": True},
    "atc": {"estimand": "ATC"},
    "optimal": {"method": "optimal", "ratio": 2},
    "full": {"method": "full", "estimand": "ATE"},
    "full exact": {"method": "full", "exact": "kind"},
}
LEVELS = {"rounded": 0, "distinct": 6}


@pytest.fixture(scope="module", params=LEVELS)
def data(request: pytest.FixtureRequest) -> pd.DataFrame:
    """150 patients, the values matched on heavily tied or all distinct."""
    stream = np.random.default_rng(2)
    n = 150
    treated = stream.random(n) < 0.3
    return pd.DataFrame(
        {
            "patient_id": [f"p{i:03d}" for i in range(n)],
            "arm": np.where(treated, "t", "r"),
            "x": (stream.normal(0, 3, n) + treated).round(LEVELS[request.param]),
            "kind": stream.choice(["III", "IV", "V"], n),
            "cr": stream.random(n) < 0.4,
        }
    )


def same(found: Matching, other: Matching) -> bool:
    return found.pairs.equals(other.pairs) and np.allclose(
        np.sort(found.weights), np.sort(other.weights), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("way", WAYS)
def test_order_index_and_dtypes_of_rows_do_not_matter(data: pd.DataFrame, way: str) -> None:
    before = data.copy()
    found = match_patients(data, **COLUMNS, **WAYS[way])
    pd.testing.assert_frame_equal(data, before)
    order = np.random.default_rng(1).permutation(len(data))
    moved = data.iloc[order].set_axis(["same"] * len(data))
    arrow = moved.convert_dtypes(dtype_backend="pyarrow")
    for frame in (moved, arrow):
        other = match_patients(frame, **COLUMNS, **WAYS[way])
        assert found.pairs.equals(other.pairs)
        np.testing.assert_array_equal(other.subclass, found.subclass[order])
        np.testing.assert_allclose(other.weights, found.weights[order], rtol=1e-12)
        one, two = (
            matched_rates(rows, matching=match, outcome_col="cr").frame
            for rows, match in ((data, found), (frame, other))
        )
        np.testing.assert_allclose(one["std_error"], two["std_error"], rtol=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_other_names_in_the_same_order_give_the_same_pairs(data: pd.DataFrame, way: str) -> None:
    found = match_patients(data, **COLUMNS, **WAYS[way])
    renamed = data.assign(patient_id=np.arange(len(data)) * 3 + 5, arm=data["arm"].map({"t": "z", "r": "a"}))
    other = match_patients(renamed, **(COLUMNS | {"treated": "z"}), **WAYS[way])
    back = dict(zip(renamed["patient_id"], data["patient_id"], strict=True))
    assert other.pairs["treated_id"].map(back).tolist() == found.pairs["treated_id"].tolist()
    assert other.pairs["reference_id"].map(back).tolist() == found.pairs["reference_id"].tolist()


@pytest.mark.parametrize("way", WAYS)
def test_shifting_and_scaling_the_values_changes_nobody(data: pd.DataFrame, way: str) -> None:
    found = match_patients(data, **COLUMNS, **WAYS[way])
    other = match_patients(data.assign(x=data["x"] * 0.25 + 7), **COLUMNS, **WAYS[way])
    ends = ["subclass", "treated_id", "reference_id"]
    assert found.pairs[ends].equals(other.pairs[ends])


def test_naming_the_other_arm_as_treated_and_as_focal_swaps_the_columns(data: pd.DataFrame) -> None:
    one = match_patients(data, **COLUMNS, order="largest")
    other = match_patients(data, **(COLUMNS | {"treated": "r"}), estimand="ATC", order="largest")
    assert one.pairs["treated_id"].tolist() == other.pairs["reference_id"].tolist()
    np.testing.assert_array_equal(one.weights, other.weights)


def test_a_wider_caliper_never_matches_fewer_with_replacement(data: pd.DataFrame) -> None:
    widths = [0.02, 0.1, 0.5, 2.0]
    counts = [len(match_patients(data, **COLUMNS, replace=True, caliper=width).pairs) for width in widths]
    assert counts == sorted(counts)


def test_optimal_is_never_farther_than_greedy_and_full_is_nearest_of_all(data: pd.DataFrame) -> None:
    greedy, best = (match_patients(data, **COLUMNS, method=method) for method in ("nearest", "optimal"))
    full = match_patients(data, **COLUMNS, method="full")
    assert best.pairs["distance"].sum() <= greedy.pairs["distance"].sum() + 1e-9
    assert full.pairs["distance"].mean() <= best.pairs["distance"].mean() + 1e-9
    assert (full.weights > 0).all()


@pytest.mark.parametrize("way", WAYS)
def test_weights_sum_to_the_patients_matched_in_each_arm(data: pd.DataFrame, way: str) -> None:
    found = match_patients(data, **COLUMNS, **WAYS[way])
    for own in (found.treated, ~found.treated):
        assert found.weights[own].sum() == pytest.approx(np.sum(found.weights[own] > 0))


@pytest.mark.parametrize("estimand", ["ATE", "ATT", "ATC"])
def test_subclasses_do_not_depend_on_row_order_and_follow_the_quantiles(data: pd.DataFrame, estimand: str) -> None:
    found = subclassify(data, **COLUMNS, estimand=estimand)
    order = np.random.default_rng(1).permutation(len(data))
    other = subclassify(data.iloc[order], **COLUMNS, estimand=estimand)
    np.testing.assert_array_equal(other.subclass, found.subclass[order])
    scaled = subclassify(data.assign(x=data["x"] * 2), **COLUMNS, estimand=estimand)
    np.testing.assert_array_equal(scaled.subclass, found.subclass)


@pytest.mark.parametrize("method", ["nearest", "full"])
def test_a_score_fitted_to_shuffled_rows_matches_the_same_patients(data: pd.DataFrame, method: str) -> None:
    """The fit differs in its last bits; patients with the same covariates tie all the same."""
    coarse = data.assign(x=data["x"].round())
    shuffled = coarse.sample(frac=1, random_state=3)
    one, other = (
        fit_propensity(frame, "x + kind", treatment_col="arm", treated="t").match(method)  # type: ignore[arg-type]
        for frame in (coarse, shuffled)
    )
    ends = ["subclass", "treated_id", "reference_id"]
    assert one.pairs[ends].equals(other.pairs[ends])
