"""Protects multi-state curves, transitions between visits and mean numbers of events against truths derived by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import (
    mean_time_in_state,
    state_occupancy,
    transition_counts,
    transition_probabilities,
    visit_transitions,
)
from analyses.survival import fit_recurrent, mean_cumulative_events

STATES = ["NR", "CR", "death"]


def spells(*rows: tuple[str, float, float, str, str], **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["patient_id", "start", "stop", "from_state", "to_state"])
    ordered = pd.CategoricalDtype(STATES, ordered=True)
    return frame.astype({"from_state": ordered, "to_state": ordered}).assign(**columns)


COURSE = spells(
    ("a", 0, 1, "NR", "CR"),
    ("a", 1, 3, "CR", "death"),
    ("b", 0, 2, "NR", "death"),
    ("c", 0, 1, "NR", "CR"),
    ("c", 1, 2, "CR", "CR"),
    ("d", 0, 4, "NR", "NR"),
)


def probabilities(table: pd.DataFrame, statistic: str = "estimate") -> dict[float, list[float]]:
    wide = table.pivot_table(index="time", columns="term", values=statistic, dropna=False)[STATES]
    return {time: row.tolist() for time, row in zip(wide.index, wide.to_numpy(), strict=True)}


def test_occupancy_with_a_tie_and_a_censoring_at_a_transition() -> None:
    """At 1 two of four leave NR for CR: (1/2, 1/2, 0). At 2, b and d are at risk in NR and b dies: NR 1/4, death 1/4;
    c is censored then, after the transitions. At 3, a alone is at risk in CR and dies: CR 0, death 3/4.

    Nobody comes back to NR, so its curve is a Kaplan-Meier and its jackknife variance is Greenwood's:
    at 1 (1/4) (2 / (4 x 2)) = 1/16, at 2 (1/16) (2 / (4 x 2) + 1 / (2 x 1)) = 3/64.
    """
    table = state_occupancy(COURSE).frame
    assert probabilities(table) == {
        0.0: [1, 0, 0],
        1.0: [0.5, 0.5, 0],
        2.0: [0.25, 0.5, 0.25],
        3.0: [0.25, 0, 0.75],
        4.0: [0.25, 0, 0.75],
    }
    errors = probabilities(table, "std_error")
    assert errors[0.0] == [0, 0, 0]
    np.testing.assert_allclose(errors[1.0], [0.25, 0.25, 0], rtol=1e-14)
    assert errors[2.0][0] == pytest.approx(math.sqrt(3) / 8, rel=1e-14)
    assert probabilities(table, "n")[2.0] == [2, 2, 0]
    assert probabilities(table, "n_events")[1.0] == [0, 2, 0]
    assert table["note"].notna().equals(table["conf_low"].isna())


def test_mean_time_in_state() -> None:
    """Areas of that curve up to 4. NR 1 + 1/2 + 2/4 = 2; CR 0 + 1/2 + 1/2 = 1; death 1/4 + 3/4 = 1.

    Its error, for NR: the influence of a patient on the area is the area under its influence on a Kaplan-Meier, and
    the sum of squares is the sum over times of (area beyond)^2 d / (n (n - d)): 1^2 x 1/4 + (1/2)^2 x 1/2 = 3/8.
    """
    frame = mean_time_in_state(COURSE, tau=4).frame.set_index("term")
    assert frame.loc[STATES, "estimate"].tolist() == [2, 1, 1]
    assert frame.loc["NR", "std_error"] == pytest.approx(math.sqrt(3 / 8), rel=1e-14)
    assert frame["n"].tolist() == [4] * 3
    assert frame.loc[STATES, "n_events"].tolist() == [0, 2, 2]


def test_delayed_entry() -> None:
    """b enters at 1.5. At 1, two of the three at risk leave NR: 1/3. At 2, b and d: NR 1/6, death 1/6."""
    late = COURSE.assign(start=COURSE["start"].where(COURSE["patient_id"] != "b", 1.5))
    after = probabilities(state_occupancy(late).frame)
    np.testing.assert_allclose(after[1.0], [1 / 3, 2 / 3, 0], rtol=1e-14)
    np.testing.assert_allclose(after[2.0], [1 / 6, 2 / 3, 1 / 6], rtol=1e-14)


def test_a_patient_away_for_a_while_is_not_at_risk_then() -> None:
    """d is away from 1.5 to 2.5. At 2, b alone is at risk in NR and dies: the 1/2 in NR all goes to death."""
    away = pd.concat([COURSE.iloc[:-1], spells(("d", 0, 1.5, "NR", "NR"), ("d", 2.5, 4, "NR", "NR"))])
    assert probabilities(state_occupancy(away).frame)[2.0] == [0, 0.5, 0.5]


def test_no_transition_leaves_the_initial_distribution() -> None:
    """One of four starts in CR: 1/4, with the binomial error sqrt(1/4 x 3/4 / 4), for ever."""
    rows = spells(*((name, 0, 2, "CR" if name == "a" else "NR", "CR" if name == "a" else "NR") for name in "abcd"))
    table = state_occupancy(rows, times=[1, 2, 3]).frame
    assert table.loc[table["term"] == "CR", "estimate"].tolist()[:3] == [0.25] * 3
    np.testing.assert_allclose(table.loc[table["time"] <= 2, "std_error"], math.sqrt(3 / 64), rtol=1e-14)
    beyond = table[table["time"] == 3]
    assert beyond["estimate"].isna().all()
    assert set(beyond["note"]) == {"beyond the last time observed"}


def test_one_transition_of_one_patient_and_all_at_once() -> None:
    """One patient who moves: 0 or 1 exactly, error 0, no interval. All five at one time: the same."""
    for names in ("a", "abcde"):
        table = state_occupancy(spells(*((name, 0, 1, "NR", "death") for name in names))).frame
        assert table["estimate"].tolist() == [1, 0, 0, 1]
        assert table["std_error"].tolist() == [0] * 4
        assert set(table["note"]) == {"probability 0 or 1: the interval does not exist on this scale"}
        assert mean_time_in_state(spells(*((name, 0, 1, "NR", "death") for name in names)), tau=5).frame[
            "estimate"
        ].tolist() == [1, 4]


def test_groups_are_estimated_apart_and_one_without_transitions_stays() -> None:
    arms = COURSE.assign(arm=np.where(COURSE["patient_id"] == "d", "z", "y"))
    table = state_occupancy(arms, by="arm", times=[3]).frame
    now = table[table["time"] == 3].set_index(["group", "term"])["estimate"]
    assert now["y"].to_dict() == pytest.approx({"NR": 0, "CR": 0, "death": 1})
    assert now["z"].to_dict() == {"NR": 1, "CR": 0, "death": 0}
    means = mean_time_in_state(arms, by="arm", tau=4).frame
    difference = means[means["contrast"] == "z v y"].set_index("term")["estimate"]
    # y: NR 1 + 1/3, CR (2/3) x 2, death 1/3 + 1; z: NR 4.
    np.testing.assert_allclose(difference[STATES], [4 - 4 / 3, -4 / 3, -4 / 3], rtol=1e-12)


def test_an_exact_zero_stays_zero() -> None:
    """0.1 + 0.2 + 0.3 is not 0.6 in binary: that everyone leaves is counted, not subtracted."""
    rows = spells(*((name, 0, 1, "NR", "CR") for name in "abc"), ("d", 0, 1, "CR", "CR"), w=[0.1, 0.2, 0.3, 0.7])
    table = state_occupancy(rows, weights_col="w", times=[1]).frame
    assert table.loc[(table["term"] == "NR") & (table["time"] == 1), "estimate"].item() == 0


def test_transition_probabilities_from_a_later_time() -> None:
    """From 1.5: in NR are b and d, one of whom dies at 2: NR 1/2, death 1/2. In CR are a and c; c is censored, a dies
    at 3 alone at risk: death 1. Nobody can be found dead at 1.5, and nobody leaves death, so it is no origin."""
    table = transition_probabilities(COURSE, start_time=1.5, times=[2, 3]).frame.set_index(["term", "time"])["estimate"]
    assert table["NR to NR"].tolist() == [0.5, 0.5]
    assert table["NR to death"].tolist() == [0.5, 0.5]
    assert table["CR to CR"].tolist() == [1, 0]
    assert table["CR to death"].tolist() == [0, 1]
    assert "death to death" not in table.index.get_level_values("term")


def test_markov_and_landmark_differ_where_newcomers_fare_differently() -> None:
    """In CR at 1: a, b. At 2, c joins CR from NR; at 3 c dies, a and b stay to 4. Markov: one of three in CR dies, 1/3.
    Landmark looks at a and b alone: 0."""
    rows = spells(("a", 0, 4, "CR", "CR"), ("b", 0, 4, "CR", "CR"), ("c", 0, 2, "NR", "CR"), ("c", 2, 3, "CR", "death"))
    both = [
        transition_probabilities(rows, start_time=1, times=[3], method=method).frame.set_index("term")["estimate"]
        for method in ("aalen-johansen", "landmark")
    ]
    assert both[0]["CR to death"] == pytest.approx(1 / 3)
    assert both[1]["CR to death"] == 0


def test_an_origin_where_nobody_is_has_rows_that_say_so() -> None:
    """On day 0 everybody is in NR."""
    frame = transition_probabilities(COURSE).frame
    empty = frame[frame["term"].str.startswith("CR to")]
    assert empty["estimate"].isna().all()
    assert set(empty["note"]) == {"nobody is observed in this state at the start time"}


def test_counts_and_rates() -> None:
    """NR is observed for 1 + 2 + 1 + 4 = 8, CR for 2 + 1 = 3. Nobody goes from CR to NR: the upper limit is
    -log(0.025) / 3. With one death in CR: limits -log(0.975) / 3 and, for the upper, the root of
    exp(-m) (1 + m) = 0.025, m = 5.5716."""
    frame = transition_counts(COURSE).frame.set_index(["term", "statistic"])
    assert frame.loc[("NR to CR", "transition_count"), "estimate"] == 2
    assert frame.loc[("NR to CR", "transition_rate"), "estimate"] == 0.25
    none = frame.loc[("CR to NR", "transition_rate")]
    assert none["conf_low"] == 0
    assert none["conf_high"] == pytest.approx(-math.log(0.025) / 3, rel=1e-12)
    one = frame.loc[("CR to death", "transition_rate")]
    assert one["conf_low"] == pytest.approx(-math.log(0.975) / 3, rel=1e-12)
    upper = 3 * one["conf_high"]
    assert math.exp(-upper) * (1 + upper) == pytest.approx(0.025, rel=1e-10)
    apart = transition_counts(COURSE.assign(arm=np.where(COURSE["patient_id"] == "d", "z", "y")), by="arm").frame
    lone = apart[(apart["group"] == "z") & (apart["term"] == "CR to NR")]
    assert lone["note"].tolist()[1] == "nobody is observed in the first state"


def test_transitions_between_visits() -> None:
    """Of three patients in NR at month 0, c misses month 6: a and b count, one goes to CR. From 6 to 12 only a is seen
    at both."""
    seen = pd.DataFrame(
        {
            "patient_id": ["a", "b", "c", "a", "b", "a", "c"],
            "visit_month": [0, 0, 0, 6, 6, 12, 12],
            "state": ["NR", "NR", "NR", "CR", "NR", "CR", "CR"],
            "arm": "x",
        }
    )
    frame = visit_transitions(seen).frame.set_index(["time", "term"])
    first = frame.loc[(6.0, "NR to CR")]
    assert (first["n"], first["n_events"], first["estimate"]) == (2, 1, 0.5)
    assert frame.loc[(12.0, "CR to CR"), "n"] == 1
    assert frame.loc[(6.0, "CR to CR"), "note"] == "nobody is in this state at the visit and seen at the next"


RECURRENT = pd.DataFrame(
    {
        "patient_id": ["a", "a", "a", "b", "b", "c"],
        "start": [0, 1, 2, 0, 2, 0],
        "stop": [1, 2, 4, 2, 3, 3],
        "event": [1, 1, 0, 1, 0, 0],
        "terminal": [0, 0, 0, 0, 1, 0],
    }
)


def test_mean_number_of_events() -> None:
    """At 1 one event among three, at 2 two tied events among three: 1/3, then 1.

    Influences at 1: a 1/3 - 1/9 = 2/9, b and c -1/9: variance 6/81. At 2: a 2/9 + 1/3 - 2/9 = 1/3,
    b -1/9 + 1/3 - 2/9 = 0, c -1/9 - 2/9 = -1/3: variance 2/9.
    """
    frame = mean_cumulative_events(RECURRENT).frame
    np.testing.assert_allclose(frame["estimate"], [1 / 3, 1, 1, 1], rtol=1e-14)
    np.testing.assert_allclose(frame["std_error"] ** 2, [6 / 81, 2 / 9, 2 / 9, 2 / 9], rtol=1e-13)
    assert frame["n"].tolist() == [3, 3, 3, 1]


def test_mean_number_of_events_among_the_dead_and_the_living() -> None:
    """a has events at 1 and 4, b dies at 2, c is followed to 5. At 1: 1/3. Alive after 2: 2/3. At 4, one event among
    the two at risk: 1/3 + (2/3)(1/2) = 2/3, where censoring the dead gives 1/3 + 1/2."""
    rows = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b", "c"],
            "start": [0, 1, 0, 0],
            "stop": [1, 4, 2, 5],
            "event": [1, 1, 0, 0],
            "dead": [0, 0, 1, 0],
        }
    )
    both = [mean_cumulative_events(rows, terminal_col=column).frame for column in ("dead", None)]
    assert both[0]["estimate"].iloc[-1] == pytest.approx(2 / 3, rel=1e-14)
    assert both[1]["estimate"].iloc[-1] == pytest.approx(5 / 6, rel=1e-14)


def test_no_event_and_all_events_at_once() -> None:
    none = mean_cumulative_events(RECURRENT.assign(event=0)).frame
    assert none["estimate"].tolist() == none["std_error"].tolist() == [0] * 4
    assert set(none["note"]) == {"no event yet: no interval"}
    tied = pd.DataFrame({"patient_id": ["a", "b"], "start": 0, "stop": 1, "event": 1})
    assert mean_cumulative_events(tied).frame[["estimate", "std_error"]].to_numpy().tolist() == [[1, 0]]


def test_recurrent_models_of_two_patients() -> None:
    """x is 1 for a and 0 for b. One scale: at 1 and 2 both at risk, events of a, then b: likelihood
    r / (r + 1) x 1 / (r + 1), so r = 1. By number: the first event of a at 1 and of b at 3 stand in stratum 1, where a
    is gone at 3: no maximum, the ratio runs to infinity; the second event of a stands alone.
    """
    rows = pd.DataFrame(
        {"patient_id": ["a", "a", "b"], "start": [0, 1, 0], "stop": [1, 4, 2], "event": [1, 0, 1], "x": [1, 1, 0]}
    )
    assert fit_recurrent(rows, "x").coefficients == pytest.approx(0, abs=1e-9)
    apart = fit_recurrent(rows, "x", model="pwp-total")
    assert np.isnan(apart.coefficients).all()
    assert "monotone likelihood" in apart.notes[0]


def test_gap_times_that_are_equal_on_paper_are_tied() -> None:
    """Gaps 0.3 - 0.1 and 0.9 - 0.7 are 0.2 both, though not in binary; the tied pair of a and b shares its risk set.

    Stratum 1 has gaps 0.1 (a, x=1), 0.2 (c, x=0) and 0.7 (b, x=0): r / (r + 2), then nothing that depends on r. Stratum
    2 has gaps 0.2 of a and b and 0.7 of c, without event: r / (r + 2)^2. The product is largest where
    2 / r = 3 / (r + 2), at r = 4.
    """
    rows = pd.DataFrame(
        {
            "patient_id": ["a", "a", "b", "b", "c", "c"],
            "start": [0, 0.1, 0, 0.7, 0, 0.2],
            "stop": [0.1, 0.3, 0.7, 0.9, 0.2, 0.9],
            "event": [1, 1, 1, 1, 1, 0],
            "x": [1, 1, 0, 0, 0, 0],
        }
    )
    assert 0.3 - 0.1 != 0.9 - 0.7
    fit = fit_recurrent(rows, "x", model="pwp-gap", ties="breslow")
    assert fit.coefficients == pytest.approx(math.log(4), rel=1e-8)
