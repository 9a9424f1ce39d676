"""The realism figures hold a bar, line and mark for each row of their tables, and give the same bytes on every run."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from analyses.figures import (
    figure_svg,
    plot_correlations,
    plot_distributions,
    plot_swimmer,
    plot_trajectories,
)
from analyses.figures.distributions import published_spreads
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

ARMS = {"tac": "Tacrolimus", "none": "No tacrolimus"}


def bins(term: str, edges: list[float]) -> list[dict[str, Any]]:
    return [
        {"term": term, "group": f"bin {place:02d}", "statistic": statistic, "estimate": value}
        for place, pair in enumerate(itertools.pairwise(edges), start=1)
        for statistic, value in (("bin_lower", pair[0]), ("bin_upper", pair[1]), ("proportion", 0.5))
    ]


def distributions() -> ResultTable:
    none_observed = {"term": "c4_mg_dl", "statistic": "proportion", "n": 0, "note": "no value observed"}
    return result_table(
        [*bins("age_years", [19.5, 29.5, 39.5, 49.5]), *bins("upcr_g_g", [0.5, 1.0, 8.0]), none_observed]
    )


def realism() -> ResultTable:
    own, other, third = ({"population": name} for name in ("this cohort", "Other", "Third"))
    age, upcr = {"term": "age_years"}, {"term": "upcr_g_g"}
    correlation = {"statistic": "spearman", "group": "expected negative"}
    rows = [
        own | age | {"statistic": "mean", "estimate": 33.0},
        other | age | {"statistic": "mean", "estimate": 30.0},
        other | age | {"statistic": "sd", "estimate": 5.0},
        third | age | {"statistic": "mean", "estimate": 31.0},
        other | upcr | {"statistic": "median", "estimate": 3.0},
        other | upcr | {"statistic": "q1", "estimate": 2.0},
        other | upcr | {"statistic": "q3", "estimate": 5.0},
        own | correlation | {"term": "a_b with cd", "estimate": -0.5, "conf_low": -0.7, "conf_high": -0.2},
        own | correlation | {"term": "c3_mg_dl with age_years", "estimate": 0.5, "conf_low": 0.2, "conf_high": 0.7},
        own | correlation | {"term": "e with f", "estimate": -0.1, "conf_low": -0.3, "conf_high": 0.1},
        own | correlation | {"term": "g with h", "estimate": math.nan},
        own | {"statistic": "spearman_lag_1", "group": "expected positive", "term": "c3_mg_dl"}
        | {"estimate": 0.5, "conf_low": 0.2, "conf_high": 0.7},
    ]  # fmt: skip
    return result_table(rows)


def trajectories() -> ResultTable:
    rows: list[dict[str, Any]] = []
    for arm, patients in (("tac", ("p-1", "p-2")), ("none", ("p-3",))):
        for patient in patients:
            for term, values in (("upcr_g_g", (12.0, 0.0, 1.2)), ("c3_mg_dl", (60.0, 90.0, 70.0))):
                rows += [
                    {"group": arm, "population": patient, "statistic": "laboratory_value", "term": term}
                    | {"time": 6.0 * place, "estimate": value}
                    for place, value in enumerate(values)
                ]
    rows.append({"group": "tac", "population": "p-2", "statistic": "event", "term": "renal_flare", "time": 12.0})
    return result_table(rows, time_unit="month")


def courses() -> ResultTable:
    rows: list[dict[str, Any]] = []
    plan = {"p-01": ("tac", "death"), "p-02": ("tac", "data_lock"), "p-10": ("none", "completed"),
            "p-11": ("none", "lost_to_follow_up")}  # fmt: skip
    for place, (patient, (arm, end)) in enumerate(plan.items()):
        shared = {"group": arm, "population": patient}
        months = 24.0 + 12 * place
        rows += [
            shared | {"statistic": "months_in_state", "term": "not yet assessed", "time": 0.0, "estimate": 6.0},
            shared | {"statistic": "months_in_state", "term": "PR", "time": 6.0, "estimate": 6.0},
            shared | {"statistic": "months_in_state", "term": "CR", "time": 12.0, "estimate": months - 12},
            shared | {"statistic": "end_of_follow_up", "term": end, "time": months},
        ]
    event = {"group": "tac", "population": "p-01", "statistic": "event"}
    rows += [event | {"term": "renal_flare", "time": 15.0}, event | {"term": "eskd", "time": 20.0},
             event | {"term": "death", "time": 24.0}]  # fmt: skip
    return result_table(rows, time_unit="month")


DRAWN = {
    "distributions": lambda: plot_distributions(distributions(), realism())[0],
    "correlations": lambda: plot_correlations(realism())[0],
    "trajectories": lambda: plot_trajectories(trajectories(), arms=ARMS)[0],
    "swimmer": lambda: plot_swimmer(courses(), arms=ARMS)[0],
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_table_gives_the_same_bytes(name: str) -> None:
    first, second = (figure_svg(DRAWN[name](), name=name, description="what it shows") for _ in range(2))
    assert first == second
    assert 'aria-label="what it shows"' in first


def markers(axes: Any) -> list[str]:
    """Markers of what is drawn as points of their own."""
    return [str(line.get_marker()) for line in axes.lines if line.get_marker() not in ("None", None, "")]


def test_a_bar_per_bin_and_a_line_per_published_spread() -> None:
    panels = plot_distributions(distributions(), realism())
    assert [axes.get_title(loc="left") for axes in panels] == ["Age, years", "UPCR, g/g"]
    age, upcr = panels
    assert [(bar.get_x(), bar.get_width()) for bar in age.patches] == [(19.5, 10.0), (29.5, 10.0), (39.5, 10.0)]
    assert len(upcr.patches) == 2
    assert (age.get_xscale(), upcr.get_xscale()) == ("linear", "log")
    assert (markers(age), markers(upcr)) == (["o"], ["D"])
    line = next(line for line in age.lines if list(line.get_xdata()) == [25.0, 35.0])
    assert line.get_ydata()[0] > max(bar.get_height() for bar in age.patches)


def test_only_values_with_a_spread_are_drawn_over_the_bars() -> None:
    spreads = published_spreads(realism())
    assert spreads.to_numpy().tolist() == [
        ["age_years", "Other", "mean", 30.0, 25.0, 35.0],
        ["upcr_g_g", "Other", "median", 3.0, 2.0, 5.0],
    ]


def test_marks_say_whether_the_sign_is_the_expected_one() -> None:
    between, lagged = plot_correlations(realism())
    assert markers(between) == ["o", "X", "o"]
    fills = [line.get_markerfacecolor() for line in between.lines if line.get_marker() == "o"]
    assert fills[1] == "white" != fills[0]
    labels = [label.get_text() for label in between.get_yticklabels()]
    assert labels[:2] == ["A b and cd", "C3 and age"]
    assert [text.get_text() for text in between.texts][-1] == "—"
    assert markers(lagged) == ["o"]
    assert between.get_xlim() == (-1, 1)


def test_a_table_without_correlations_is_refused() -> None:
    with pytest.raises(AnalysisError, match=r"no correlations to draw.*pass the table realism"):
        plot_correlations(result_table([{"statistic": "mean"}]))


def test_a_panel_per_laboratory_value_and_arm_with_a_star_at_a_flare() -> None:
    panels = plot_trajectories(trajectories(), arms=ARMS)
    assert [axes.get_title() for axes in panels] == ["Tacrolimus", "No tacrolimus", "", ""]
    drawn = [[line for line in axes.lines if str(line.get_label()).startswith("p-")] for axes in panels]
    assert [[line.get_label() for line in lines] for lines in drawn] == [["p-1", "p-2"], ["p-3"]] * 2
    assert len({(line.get_color(), line.get_linestyle(), line.get_marker()) for line in drawn[0]}) == 2
    stars = [[line for line in axes.lines if line.get_marker() == "*" and len(line.get_xdata())] for axes in panels]
    assert [len(found) for found in stars] == [1, 0, 1, 0]
    assert (list(stars[0][0].get_xdata()), list(stars[0][0].get_ydata())) == ([12.0], [1.2])
    assert [axes.get_yscale() for axes in panels] == ["log", "log", "linear", "linear"]
    # A printed 0 stands above the bottom of the logarithmic axis, and 12 g/g below its top.
    assert panels[0].get_ylim()[0] < min(drawn[0][0].get_ydata())
    assert panels[1].get_ylim()[1] > 12
    assert {text.get_text() for text in panels[1].texts} == {"CR", "PR"}


def test_a_bar_per_patient_the_longest_on_top() -> None:
    tac, none = plot_swimmer(courses(), arms=ARMS)
    assert [label.get_text() for label in tac.get_yticklabels()] == ["02", "01"]
    assert [label.get_text() for label in none.get_yticklabels()] == ["11", "10"]
    for axes, longest in ((tac, 36.0), (none, 60.0)):
        assert len(axes.patches) == 6
        assert max(bar.get_x() + bar.get_width() for bar in axes.patches) == longest
        ends = {round(bar.get_y() + bar.get_height() / 2): 0.0 for bar in axes.patches}
        for bar in axes.patches:
            ends[round(bar.get_y() + bar.get_height() / 2)] += bar.get_width()
        assert ends[0] > ends[1]
    looks = {(bar.get_facecolor(), bar.get_hatch()) for bar in tac.patches}
    assert len(looks) == 3


def test_marks_of_events_and_of_the_end_of_follow_up() -> None:
    tac, none = plot_swimmer(courses(), arms=ARMS)
    assert markers(tac) == ["^", "s", "X", ">"]
    assert markers(none) == ["o", "|"]
    arrow = next(line for line in tac.lines if line.get_marker() == ">")
    assert arrow.get_xdata()[0] > 36.0
    legend = tac.get_figure().legends[0]
    assert [text.get_text() for text in legend.get_texts()] == [
        "Not yet assessed", "Complete response", "Partial response", "Renal flare", "End-stage kidney disease", "Death",
        "Still followed at the data lock", "Follow-up completed", "Lost to follow-up",
    ]  # fmt: skip


def test_an_arm_without_patients_has_no_panel_and_a_lone_patient_keeps_the_name() -> None:
    frame = courses().frame
    lone = ResultTable(frame[(frame["population"] == "p-10").to_numpy(dtype=bool)].reset_index(drop=True))
    (axes,) = plot_swimmer(lone, arms=ARMS)
    assert axes.get_title(loc="left") == "No tacrolimus"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["p-10"]


@pytest.mark.parametrize("draw", [plot_swimmer, plot_trajectories])
def test_an_arm_without_a_label_is_refused(draw: Any) -> None:
    table = courses() if draw is plot_swimmer else trajectories()
    with pytest.raises(AnalysisError, match=r"a group without a label.*none"):
        draw(table, arms={"tac": "Tacrolimus"})
