"""Protects agreement of curves, tests and means with R's survival package in every combination (no R needed to run)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analyses.survival import (
    censorings,
    kaplan_meier,
    logrank,
    logrank_events,
    logrank_trend,
    nelson_aalen,
    restricted_mean,
    survival_at,
    survival_quantiles,
    turnbull,
)

FOLDER = Path(__file__).parent / "curves"
RELATIVE, ABSOLUTE = 1e-8, 1e-10
NUMBERS = pd.read_csv(FOLDER / "numbers.csv", dtype={"group": "string", "term": "string"})
BY_SCENARIO = dict(tuple(NUMBERS.groupby("scenario")))
DATASETS = ("lung", "veteran", "ovarian", "pbc", "colon", "mgus2", "rotterdam")
DAYS = {"duration_col": "time", "event_col": "status", "by": "group"}
MONTHS = {**DAYS, "duration_col": "month"}
KINDS = {
    "plain": DAYS,
    "tied": MONTHS,
    "weighted": {**MONTHS, "weights_col": "w"},
    "entry": {**DAYS, "entry_col": "entry"},
    "entry_weighted": {**MONTHS, "entry_col": "month_entry", "weights_col": "w"},
    "clustered": {**MONTHS, "cluster_col": "centre"},
    "entry_weighted_clustered": {
        **MONTHS,
        "entry_col": "month_entry",
        "weights_col": "w",
        "cluster_col": "centre",
    },
}
TAU = {"lung": 8, "veteran": 4, "ovarian": 7, "pbc": 20, "colon": 30, "mgus2": 30, "rotterdam": 40}


def read_input(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / "inputs" / f"{name}.csv")


def reference(scenario: str, quantity: str) -> pd.DataFrame:
    rows = BY_SCENARIO[scenario]
    rows = rows[rows["quantity"] == quantity]
    assert len(rows), f"no reference numbers for {scenario} {quantity}"
    return rows


def assert_same(ours: object, theirs: object, relative: float = RELATIVE) -> None:
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float), np.asarray(theirs, dtype=float), rtol=relative, atol=ABSOLUTE
    )


def assert_curve(ours: pd.DataFrame, scenario: str, quantities: dict[str, str]) -> None:
    """Compare at the times R's numbers were kept for; once survival is zero no standard error is given here."""
    for theirs, column in quantities.items():
        rows = reference(scenario, theirs)
        matched = rows.merge(ours, on=["group", "time"], how="left", validate="one_to_one")
        assert matched["estimate"].notna().all()
        known = matched["std_error"].notna() if "std_error" in ours and column != "estimate" else slice(None)
        if column in ("conf_low", "conf_high"):
            # Before the first event R puts the limits of every scale at one; here they do not exist on some.
            known = known & (matched["std_error"] > 0)
        assert_same(matched[column][known], matched["value"][known])


def test_the_committed_files_are_those_of_the_generating_run() -> None:
    manifest = pd.read_csv(FOLDER / "manifest.csv")
    sums = [hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() for name in manifest["file"]]
    assert sums == manifest["sha256"].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DATASETS)
def test_curves(name: str, kind: str) -> None:
    data, arguments, scenario = read_input(name), KINDS[kind], f"curve_{name}_{kind}"
    survival = kaplan_meier(data, **arguments).frame
    quantities = {"surv": "estimate", "std.err": "std_error", "lower": "conf_low", "upper": "conf_high"}
    assert_curve(survival, scenario, {**quantities, "n.risk": "n", "n.event": "n_events"})
    assert_curve(nelson_aalen(data, **arguments).frame, scenario, {"cumhaz": "estimate", "std.chaz": "std_error"})
    without_clusters = {key: value for key, value in arguments.items() if key != "cluster_col"}
    marks = censorings(data, **without_clusters).frame[["group", "time", "estimate"]]
    assert_curve(marks, scenario, {"n.censor": "estimate"})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", DATASETS)
def test_quantiles(name: str, kind: str) -> None:
    """A weighted lower limit can rise again, where R's interpolation skips its first crossing: left out here."""
    data, probabilities = read_input(name), [0.1, 0.25, 0.5, 0.75]
    ours = survival_quantiles(data, **KINDS[kind], probabilities=probabilities).frame
    ours = ours[ours["statistic"] == "survival_quantile"]
    curves = kaplan_meier(data, **KINDS[kind]).frame
    rises = curves.groupby("group")["conf_low"].agg(lambda limit: limit.dropna().diff().max() > 1e-9)
    assert not rises.any() or "weighted" in kind or "entry" in kind
    for theirs, column in {"quantile": "estimate", "lower": "conf_low", "upper": "conf_high"}.items():
        rows = reference(f"curve_{name}_{kind}", f"q.{theirs}")
        if column == "conf_low":
            rows = rows[~rows["group"].map(rises).astype(bool)]
        matched = rows.merge(ours, on=["group", "term"], how="left", validate="one_to_one")
        assert_same(matched[column], matched["value"])


@pytest.mark.parametrize("kind", ["tied", "entry_weighted_clustered"])
@pytest.mark.parametrize("name", ["lung", "veteran"])
@pytest.mark.parametrize("scale", ["plain", "log", "logit", "arcsine"])
def test_interval_scales(scale: str, name: str, kind: str) -> None:
    ours = kaplan_meier(read_input(name), **KINDS[kind], conf_type=scale).frame
    scenario = (
        f"interval_{scale.removesuffix('e')}_{name}_{kind}"
        if scale == "arcsine"
        else (f"interval_{scale}_{name}_{kind}")
    )
    assert_curve(ours, scenario, {"surv": "estimate", "lower": "conf_low", "upper": "conf_high"})


POINTS = {
    "tied": MONTHS,
    "entry": {**MONTHS, "entry_col": "month_entry"},
    "weighted": {**MONTHS, "entry_col": "month_entry", "weights_col": "w"},
    "clustered": {**MONTHS, "entry_col": "month_entry", "cluster_col": "centre"},
    "weighted_clustered": {**MONTHS, "entry_col": "month_entry", "weights_col": "w", "cluster_col": "centre"},
}


@pytest.mark.parametrize("kind", POINTS)
@pytest.mark.parametrize("name", DATASETS)
def test_milestones_and_restricted_means_with_their_contrasts(name: str, kind: str) -> None:
    data, tau = read_input(name), TAU[name]
    tables = {
        "milestone": survival_at(data, **POINTS[kind], times=[tau]).frame,
        "rmean": restricted_mean(data, **POINTS[kind], tau=tau).frame,
    }
    scenario = f"points_{name}_{kind}"
    for quantity, table in tables.items():
        groups = table[table["group"].notna()]
        assert groups["group"].tolist() == reference(scenario, quantity)["group"].tolist()
        assert_same(groups["estimate"], reference(scenario, quantity)["value"])
        assert_same(groups["std_error"], reference(scenario, f"{quantity}.se")["value"])
        differences = table[table["statistic"].str.endswith("_difference")]
        if kind in ("weighted", "clustered", "weighted_clustered"):
            assert_same(differences["estimate"], reference(scenario, f"{quantity}.diff")["value"])
            assert_same(differences["std_error"], reference(scenario, f"{quantity}.diff.se")["value"])
    if kind in ("weighted", "clustered", "weighted_clustered"):
        ratios = tables["rmean"][tables["rmean"]["statistic"] == "restricted_mean_ratio"]
        assert_same(ratios["std_error"], reference(scenario, "rmean.logratio.se")["value"])


WITH = {
    "entry": {"entry_col": "entry", "duration_col": "time"},
    "strata": {"strata": "site"},
    "weighted": {"weights_col": "w"},
    "clustered": {"cluster_col": "centre"},
}
TESTS = sorted(name for name in BY_SCENARIO if name.startswith("logrank_"))


def test_arguments(scenario: str) -> tuple[str, dict[str, object]]:
    _, name, first, *rest = scenario.split("_")
    arguments: dict[str, object] = {**MONTHS, "rho": 0.5}
    if first == "definition":
        arguments["entry_col"] = "month_entry"
    else:
        arguments["rho"] = float(first.removeprefix("rho"))
    for word in rest:
        arguments |= WITH.get(word, {})
    if "weighted" in rest and "entry" in rest:
        arguments |= {"entry_col": "month_entry", "duration_col": "month"}
    return name, arguments


test_arguments.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize("scenario", TESTS)
def test_logrank(scenario: str) -> None:
    name, arguments = test_arguments(scenario)
    data = read_input(name)
    if scenario.endswith("_trend"):
        ours = logrank_trend(data, **DAYS, scores={str(k): k for k in data["group"].unique()}).frame.iloc[0]
        assert_same(ours["estimate"], reference(scenario, "chisq")["value"].item())
        return
    ours = logrank(data, **arguments).frame.iloc[0]
    assert_same(ours["estimate"], reference(scenario, "chisq")["value"].item())
    assert ours["note"] == f"df={reference(scenario, 'df')['value'].item():.0f}"
    quantities = set(BY_SCENARIO[scenario]["quantity"])
    if "trend" in quantities:
        ours = logrank_trend(data, **arguments, scores={str(k): k for k in data["group"].unique()}).frame.iloc[0]
        assert_same(ours["estimate"], reference(scenario, "trend")["value"].item())
    if "observed" in quantities:
        table = logrank_events(data, **arguments).frame
        for statistic in ("observed", "expected"):
            assert_same(table.loc[table["statistic"] == statistic, "estimate"], reference(scenario, statistic)["value"])


@pytest.mark.parametrize("name", ["lung", "veteran", "rotterdam"])
def test_turnbull(name: str) -> None:
    """R lets the curve fall at the middle of each interval that carries mass."""
    ours = turnbull(read_input(f"intervals_{name}"), lower_col="lower", upper_col="upper", by="group").frame
    theirs = reference(f"turnbull_{name}", "surv")
    for group, rows in theirs.groupby("group"):
        masses = ours[(ours["group"] == group) & (ours["statistic"] == "mass")]
        assert masses["note"].isna().all()
        limits = masses["term"].str.strip("([])").str.split(", ")
        middles = np.array([(float(limit[0]) + float(limit[-1])) / 2 for limit in limits])
        survival = [1 - masses["estimate"].to_numpy()[middles <= time].sum() for time in rows["time"]]
        assert_same(survival, rows["value"])
