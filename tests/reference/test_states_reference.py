"""Protects agreement with R's survival package on multi-state curves, recurrent events and subgroups."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import mean_time_in_state, state_occupancy, transition_probabilities
from analyses.survival import CoxFit, fit_recurrent, mean_cumulative_events, subgroup_effects

FOLDER = Path(__file__).parent / "states"
RELATIVE, ABSOLUTE = 1e-8, 1e-10
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string", "term": "string"}, keep_default_na=True)
MGUS_STATES, PBC_STATES = ["mgus", "pcm", "death"], ["low", "middle", "high", "death"]
R_TERMS = {"treatmentpyridoxine": "treatment=pyridoxine", "treatmentthiotepa": "treatment=thiotepa"}
COLUMNS = {"subject_col": "id", "from_col": "from", "to_col": "to"}


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def spells(name: str, states: list[str]) -> pd.DataFrame:
    """Rows as R takes them, where a censored row says so, in the form in which it keeps its state."""
    data = read_input(name)
    return data.assign(
        **{"from": pd.Categorical(data["from"], categories=states, ordered=True)},
        to=data["to"].where(data["to"] != "censor", data["from"]),
    )


def reference(scenario: str, quantity: str) -> pd.DataFrame:
    rows = NUMBERS[(NUMBERS["scenario"] == scenario) & (NUMBERS["quantity"] == quantity)]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows.reset_index(drop=True)


def assert_same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=RELATIVE, atol=ABSOLUTE
    )


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


OCCUPANCIES = {
    "mgus": ("mgus", MGUS_STATES, {"by": "sex"}),
    "mgus_weighted": ("mgus", MGUS_STATES, {"by": "sex", "weights_col": "w"}),
    "mgus_age": ("mgus", MGUS_STATES, {"start_col": "age_start", "stop_col": "age_stop"}),
    "pbcseq": ("pbcseq", PBC_STATES, {"by": "sex"}),
    "pbcseq_all": ("pbcseq", PBC_STATES, {}),
    "pbcseq_weighted": ("pbcseq", PBC_STATES, {"weights_col": "w"}),
}


def at_reference_rows(ours: pd.DataFrame, theirs: pd.DataFrame, *, prefix: str = "") -> pd.DataFrame:
    """Rows of ours at the groups, states and times of theirs, in that order."""
    keyed = ours.assign(group=ours["group"].fillna("")).set_index(["group", "term", "time"])
    rows = zip(theirs["group"].fillna(""), prefix + theirs["term"], theirs["time"], strict=True)
    return keyed.loc[pd.MultiIndex.from_tuples(list(rows))]


@pytest.mark.parametrize("scenario", OCCUPANCIES)
def test_state_occupancy(scenario: str) -> None:
    """Reversible states, delayed entry (the age scale), ties and weights; n.risk and n.event of R count rows."""
    name, states, arguments = OCCUPANCIES[scenario]
    ours = state_occupancy(spells(name, states), **COLUMNS, **arguments).frame
    theirs = reference(scenario, "pstate")
    rows = at_reference_rows(ours, theirs)
    assert_same(rows["estimate"], theirs["value"])
    assert_same(rows["std_error"], reference(scenario, "std.err")["value"])
    inside = rows["conf_low"].notna().to_numpy()
    assert inside.sum() > len(rows) / 2
    assert_same(rows["conf_low"][inside], reference(scenario, "lower")["value"][inside])
    assert_same(rows["conf_high"][inside], reference(scenario, "upper")["value"][inside])
    if "weights_col" not in arguments:
        assert_same(rows["n"], reference(scenario, "n.risk")["value"])
        assert_same(rows["n_events"], reference(scenario, "n.event")["value"])


@pytest.mark.parametrize("scenario", [name for name in OCCUPANCIES if "age" not in name])
def test_initial_distribution(scenario: str) -> None:
    name, states, arguments = OCCUPANCIES[scenario]
    ours = state_occupancy(spells(name, states), **COLUMNS, **arguments).frame
    theirs = reference(scenario, "p0").assign(time=0.0)
    rows = at_reference_rows(ours, theirs)
    assert_same(rows["estimate"], theirs["value"])
    if "weights_col" not in arguments:  # R leaves the weights out of this one standard error, though not of later ones
        assert_same(rows["std_error"], reference(scenario, "sp0")["value"])


@pytest.mark.parametrize("scenario", ["mgus", "pbcseq", "pbcseq_all"])
def test_mean_time_in_state(scenario: str) -> None:
    name, states, arguments = OCCUPANCIES[scenario]
    theirs = reference(scenario, "rmean")
    ours = mean_time_in_state(spells(name, states), tau=theirs["time"].iloc[0], **COLUMNS, **arguments).frame
    rows = at_reference_rows(ours[ours["contrast"].isna()], theirs)
    assert_same(rows["estimate"], theirs["value"])
    assert_same(rows["std_error"], reference(scenario, "se.rmean")["value"])


@pytest.mark.parametrize("state", PBC_STATES[:3])
@pytest.mark.parametrize(("method", "scenario"), [("aalen-johansen", "from"), ("landmark", "landmark")])
def test_transition_probabilities(method: str, scenario: str, state: str) -> None:
    ours = transition_probabilities(spells("pbcseq", PBC_STATES), start_time=24.5, method=method, **COLUMNS).frame
    theirs = reference(f"pbcseq_{scenario}_{state}", "pstate")
    rows = at_reference_rows(ours, theirs, prefix=f"{state} to ")
    assert_same(rows["estimate"], theirs["value"])
    assert_same(rows["std_error"], reference(f"pbcseq_{scenario}_{state}", "std.err")["value"])


MODELS = {"ag": "andersen-gill", "pwp_total": "pwp-total", "pwp_gap": "pwp-gap"}


def assert_same_fit(fit: CoxFit, scenario: str) -> None:
    places = [fit.terms.index(R_TERMS.get(term, term)) for term in reference(scenario, "coef")["term"]]
    assert_same(fit.coefficients[places], reference(scenario, "coef")["value"])
    assert_same(fit.std_errors[places], reference(scenario, "se")["value"])
    assert_same(np.sqrt(np.diag(fit.variance))[places], reference(scenario, "naive.se")["value"])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("model", MODELS)
def test_recurrent_events(model: str, ties: str) -> None:
    fit = fit_recurrent(read_input("bladder2"), "rx + number + size", model=MODELS[model], subject_col="id", ties=ties)
    assert_same_fit(fit, f"{model}_{ties}")


def test_recurrent_events_weighted_and_with_late_events_pooled() -> None:
    weighted = fit_recurrent(read_input("bladder2"), "rx + number + size", subject_col="id", weights_col="w")
    assert_same_fit(weighted, "ag_weighted")
    data = read_input("bladder1")
    assert_same_fit(fit_recurrent(data, "treatment + number", subject_col="id"), "ag_bladder1")
    pooled = fit_recurrent(data, "treatment + number", model="pwp-gap", last_number=4, subject_col="id")
    assert_same_fit(pooled, "pwp_gap_bladder1")


@pytest.mark.parametrize("weights_col", [None, "w"])
def test_mean_number_of_events(weights_col: str | None) -> None:
    scenario = "mcf" if weights_col is None else "mcf_weighted"
    ours = mean_cumulative_events(
        read_input("bladder1"), subject_col="id", by="treatment", weights_col=weights_col
    ).frame.set_index(["group", "time"])
    theirs = reference(scenario, "cumhaz")
    rows = ours.loc[pd.MultiIndex.from_frame(theirs[["group", "time"]])]
    assert len(rows) == len(ours)
    assert_same(rows["estimate"], theirs["value"])
    assert_same(rows["std_error"], reference(scenario, "std.chaz")["value"])
    assert_same(rows["n"], reference(scenario, "n.risk")["value"])
    assert_same(rows["n_events"], reference(scenario, "n.event")["value"])


@pytest.mark.parametrize(
    ("scenario", "arguments"), [("subgroups", {}), ("subgroups_adjusted", {"adjust": "age + nodes", "robust": True})]
)
def test_subgroup_effects(scenario: str, arguments: dict[str, object]) -> None:
    table = subgroup_effects(
        read_input("colon"),
        treatment_col="treated",
        treated="1",
        subgroup_col="extent",
        duration_col="time",
        event_col="status",
        **arguments,
    ).frame
    effects = reference(scenario, "log_hr")
    rows = table[table["population"] == "subgroup"].set_index("group")
    assert_same(rows.loc[effects["group"], "estimate"], effects["value"])
    assert_same(rows.loc[effects["group"], "std_error"], reference(scenario, "se")["value"])
    assert_same(table["estimate"].iloc[-1:], reference(scenario, "chisq")["value"])
    assert table["note"].iloc[-1] == "df=2"
    if scenario == "subgroups":
        assert_same(table[["estimate", "std_error"]].iloc[0], reference(scenario, "overall")["value"])
