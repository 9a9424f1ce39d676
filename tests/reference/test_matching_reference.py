"""Protects agreement with R's MatchIt on pairs and weights, and with sandwich and survival on matched outcomes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analyses.comparison import matched_rates
from analyses.propensity import Matching, fit_propensity, match_patients, subclassify
from analyses.survival import fit_cox

FOLDER = Path(__file__).parent / "matching"
RELATIVE, ABSOLUTE = 1e-8, 1e-10
PAIRS, WEIGHTS, NUMBERS = (pd.read_csv(FOLDER / f"{name}.csv") for name in ("pairs", "weights", "numbers"))
EXACT = {"lalonde": ["race", "married"], "rotterdam": ["size", "meno"]}
FORMULAS = {
    "lalonde": "age + educ + race + married + nodegree",
    "rotterdam": "age + meno + size + grade + nodes + pgr + er",
}
COMMON: dict[str, dict[str, Any]] = {
    "nearest": {},
    "smallest": {"order": "smallest"},
    "id": {"order": "id"},
    "caliper": {"caliper": 0.2},
    "narrow": {"caliper": 0.01},
    "exact": {"exact": EXACT},
    "exact_caliper": {"exact": EXACT, "caliper": 0.1},
    "replace": {"replace": True},
    "replace_caliper": {"replace": True, "caliper": 0.02},
    "atc": {"estimand": "ATC"},
    "atc_caliper": {"estimand": "ATC", "caliper": 0.2},
    "atc_replace": {"estimand": "ATC", "replace": True},
}
SCENARIOS = {f"{name}_{what}": (name, arguments) for name in EXACT for what, arguments in COMMON.items()} | {
    "rotterdam_two": ("rotterdam", {"ratio": 2}),
    "rotterdam_three_caliper": ("rotterdam", {"ratio": 3, "caliper": 0.005}),
    "rotterdam_two_replace": ("rotterdam", {"ratio": 2, "replace": True}),
}
WEIGHED = set(WEIGHTS["scenario"])
SUBCLASSES = {
    "subclass_ATT": {"estimand": "ATT"},
    "subclass_ATC": {"estimand": "ATC"},
    "subclass_ATE": {"estimand": "ATE"},
    "subclass_many": {"estimand": "ATE", "subclasses": 40},
}


def read_input(name: str) -> pd.DataFrame:
    """Rows in another order than the identifiers, by which R had them sorted."""
    data = pd.read_csv(FOLDER / "inputs" / f"{name}.csv")
    assert not data["id"].is_monotonic_increasing
    return data


def matched(name: str, arguments: dict[str, Any], data: pd.DataFrame | None = None) -> Matching:
    own = arguments | ({"exact": arguments["exact"][name]} if "exact" in arguments else {})
    frame = read_input(name) if data is None else data
    return match_patients(frame, treatment_col="treat", treated=1, distance="steps", subject_col="id", **own)


def pairs_of(found: Matching) -> set[tuple[str, str]]:
    ends = ["treated_id", "reference_id"] if found.estimand == "ATT" else ["reference_id", "treated_id"]
    return set(found.pairs[ends].itertuples(index=False, name=None))


def reference_pairs(scenario: str) -> set[tuple[str, str]]:
    rows = PAIRS[PAIRS["scenario"] == scenario]
    assert len(rows), f"no reference pairs for {scenario}"
    return set(rows[["focal", "other"]].itertuples(index=False, name=None))


def assert_same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=RELATIVE, atol=ABSOLUTE
    )


def assert_weights(found: Matching, data: pd.DataFrame, scenario: str) -> pd.DataFrame:
    theirs = WEIGHTS[WEIGHTS["scenario"] == scenario].set_index("id")
    assert len(theirs), f"no reference weights for {scenario}"
    assert_same(found.weights, theirs["weight"].reindex(data["id"]).fillna(0))
    return theirs


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nearest_pairs_and_weights(scenario: str) -> None:
    """lalonde has many equal scores, rotterdam none: who is matched agrees patient by patient."""
    name, arguments = SCENARIOS[scenario]
    data = read_input(name)
    found = matched(name, arguments, data)
    assert pairs_of(found) == reference_pairs(scenario)
    assert len(found.pairs) == len(reference_pairs(scenario))
    if scenario in WEIGHED:
        assert_weights(found, data, scenario)


@pytest.mark.parametrize("scenario", ["nearest", "caliper", "exact", "atc", "replace"])
@pytest.mark.parametrize("name", EXACT)
def test_pairs_from_our_own_score(name: str, scenario: str) -> None:
    """The logit of the score fitted here gives the pairs that R's logit, rounded to 8 decimals, gives MatchIt."""
    arguments = COMMON[scenario] | ({"exact": EXACT[name]} if scenario == "exact" else {})
    fit = fit_propensity(read_input(name), FORMULAS[name], treatment_col="treat", treated=1)
    assert pairs_of(fit.match(subject_col="id", **arguments)) == reference_pairs(f"{name}_{scenario}")


@pytest.mark.parametrize("scenario", sorted(name for name in WEIGHED if "subclass" in name))
def test_subclasses_and_weights(scenario: str) -> None:
    name, _, what = scenario.partition("_")
    data = read_input(name)
    found = subclassify(data, treatment_col="treat", treated=1, distance="steps", subject_col="id", **SUBCLASSES[what])
    theirs = assert_weights(found, data, scenario)
    same = pd.crosstab(found.subclass, theirs["subclass"].reindex(data["id"]).fillna(0).to_numpy())
    assert ((same > 0).sum(axis=0) == 1).all()
    assert ((same > 0).sum(axis=1) == 1).all()
    if what == "subclass_many":
        assert (found.weights == 0).any(), "no subclass without an arm: nothing was tested"


def outcome_of(scenario: str) -> Matching:
    name, _, what = scenario.partition("_")
    if not what.startswith("subclass"):
        return matched(name, SCENARIOS[scenario][1])
    return subclassify(
        read_input(name), treatment_col="treat", treated=1, distance="steps", subject_col="id", **SUBCLASSES[what]
    )


@pytest.mark.parametrize("scenario", sorted(set(NUMBERS["scenario"][NUMBERS["scenario"].str.startswith("lalonde")])))
def test_matched_rates(scenario: str) -> None:
    """Pair-clustered, two-way clustered after matching with replacement, unclustered after subclassification."""
    frame = matched_rates(read_input("lalonde"), matching=outcome_of(scenario), outcome_col="earns").frame
    theirs = NUMBERS[NUMBERS["scenario"] == scenario].set_index("quantity")
    for statistic in ("risk_difference", "risk_ratio", "odds_ratio"):
        ours = frame[frame["statistic"] == statistic].iloc[0]
        on_scale = ours["estimate"] if statistic == "risk_difference" else np.log(ours["estimate"])
        assert_same([on_scale, ours["std_error"]], theirs.loc[statistic, ["estimate", "std_error"]])


@pytest.mark.parametrize("scenario", ["rotterdam_caliper", "rotterdam_exact", "rotterdam_two"])
def test_clustered_cox_of_matched_patients(scenario: str) -> None:
    rows = matched("rotterdam", SCENARIOS[scenario][1]).matched_data()
    fit = fit_cox(rows, "treat", duration_col="rtime", event_col="recur", weights_col="weights", cluster_col="subclass")
    ours, theirs = fit.tidy().frame.iloc[0], NUMBERS[NUMBERS["scenario"] == scenario].iloc[0]
    assert_same(ours[["estimate", "std_error"]], theirs[["estimate", "std_error"]])
