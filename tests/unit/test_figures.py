"""Figures show the numbers of their tables, tell arms apart without colour, and give the same bytes on every run."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analyses.figures import (
    figure_svg,
    plot_balance,
    plot_cumulative_incidence,
    plot_hazard_ratios,
    plot_response_rates,
    plot_response_states,
    plot_risk_differences,
    plot_state_occupancy,
    plot_survival,
)
from analyses.figures.forest import difference_rows
from analyses.figures.formatting import count, equation, interval, measurement, number, p_value, percent, rounded
from analyses.figures.labels import covariate_label, in_words, outcome_label, short_visit_label, visit_label
from analyses.figures.style import arm_styles, house_style
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

ARMS = {"tac": "Tacrolimus", "none": "No tacrolimus"}
CONTRAST = "tac v none"


def states() -> ResultTable:
    counts = {("tac", 6.0): (5, 3, 1, 1), ("tac", 12.0): (4, 2, 2, 2), ("none", 6.0): (6, 1, 1, 0)}
    return result_table(
        {"group": arm, "time": month, "term": term, "statistic": statistic, "estimate": value}
        for (arm, month), cells in counts.items()
        for term, cell in zip(("CR", "PR", "NR", "not assessed"), cells, strict=True)
        for statistic, value in (("count", cell), ("proportion", cell / sum(cells)))
    )


def rates() -> ResultTable:
    return result_table(
        {"group": arm, "time": month, "term": term, "estimate": rate, "conf_low": rate - 0.1, "conf_high": rate + 0.1}
        | {"statistic": "proportion"}
        for arm, base in (("tac", 0.4), ("none", 0.6))
        for term, extra in (("CR", 0.0), ("CR or PR", 0.2))
        for month, rate in ((6.0, base + extra), (12.0, base + extra + 0.05))
    )


def curves() -> ResultTable:
    rows = [(0.5, 0.9, 0.7, 0.97, 10, 1), (1.0, 0.9, 0.7, 0.97, 9, 0), (2.0, 0.6, 0.3, 0.8, 5, 2)]
    names = ("time", "estimate", "conf_low", "conf_high", "n", "n_events")
    return result_table(
        [{"group": arm, **dict(zip(names, row, strict=True))} for arm in ARMS for row in rows],
        statistic="survival",
        time_unit="year",
    )


def at_risk(unit: str = "year") -> ResultTable:
    return result_table(
        [{"group": arm, "time": float(t), "estimate": 10 - 4 * t} for arm in ARMS for t in (0, 1, 2)],
        statistic="at_risk",
        time_unit=unit,
    )


def incidence() -> ResultTable:
    rows = [
        {"group": arm, "term": cause, "time": t, "estimate": value, "n_events": events}
        for arm in ARMS
        for cause in ("renal_flare", "eskd or death")
        for t, value, events in ((0.0, 0.0, 0), (1.0, 0.1, 1))
    ]
    return result_table(rows, statistic="cumulative_incidence", time_unit="year")


def differences(**changes: Any) -> ResultTable:
    row = {"contrast": CONTRAST, "time": 6.0, "term": "CR", "estimate": -0.07, "conf_low": -0.21, "conf_high": 0.07}
    rows = [row, row | {"term": "PR"}, row | {"time": 12.0, "estimate": math.nan} | changes]
    return result_table(rows, statistic="risk_difference")


def hazards() -> ResultTable:
    row = {"statistic": "log_hazard_ratio", "conf_low": math.log(0.5), "conf_high": math.log(4.0)}
    return result_table(
        [
            row | {"population": "unadjusted", "term": "treated", "estimate": math.log(2.0)},
            row | {"population": "adjusted", "term": "treated", "estimate": math.nan, "note": "no events"}
            | {"conf_low": math.nan, "conf_high": math.nan},
            row | {"population": "adjusted", "term": "age_years", "estimate": 0.1},
        ]
    )  # fmt: skip


def balance() -> ResultTable:
    values = {"age_years": (0.05, 0.01), "class_v": (-0.4, 0.02), "diabetes": (math.nan, math.nan)}
    return result_table(
        [
            {"term": term, "statistic": statistic, "estimate": value}
            for term, pair in values.items()
            for statistic, value in zip(("smd_unadjusted", "smd_adjusted"), pair, strict=True)
        ],
        contrast=CONTRAST,
    )


def occupancy() -> ResultTable:
    course = {0.0: {"NR": 1.0}, 1.0: {"CR": 0.5, "PR": 0.2, "NR": 0.2, "flare": 0.1}, 2.0: {"CR": 0.6, "death": 0.4}}
    states = ("CR", "PR", "NR", "flare", "eskd", "death")
    return result_table(
        [
            {"group": arm, "time": time, "term": state, "estimate": shares.get(state, 0.0)}
            for arm in ARMS
            for time, shares in course.items()
            for state in states
        ],
        statistic="state_probability",
        time_unit="year",
    )


DRAWN: dict[str, Callable[[], Any]] = {
    "states": lambda: plot_response_states(states(), arms=ARMS)[0],
    "occupancy": lambda: plot_state_occupancy(occupancy(), arms=ARMS)[0],
    "rates": lambda: plot_response_rates(rates(), arms=ARMS)[0],
    "survival": lambda: plot_survival(curves(), at_risk(), arms=ARMS)[0],
    "incidence": lambda: plot_cumulative_incidence(incidence(), arms=ARMS)[0],
    "differences": lambda: plot_risk_differences({"unadjusted": differences()}, arms=ARMS)[0],
    "hazards": lambda: plot_hazard_ratios(hazards(), treated="tac", arms=ARMS),
    "balance": lambda: plot_balance(balance(), arms=ARMS),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_table_gives_the_same_bytes_as_one_well_formed_image(name: str) -> None:
    first, second = (figure_svg(DRAWN[name](), name=name, description='a "b" <c> & d') for _ in range(2))
    assert first == second
    root = ElementTree.fromstring(first)
    assert root.tag.endswith("svg")
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'a "b" <c> & d'
    assert root.get("viewBox") is not None
    assert root.get("width") is None
    assert "<metadata" not in first
    identifiers = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert all(str(identifier).startswith(f"{name}-") for identifier in identifiers)


def test_states_are_stacked_to_the_whole_and_change_when_they_are_seen_to() -> None:
    """At 1.5 years complete response still covers its share of year 1, up to 0.5; all states reach 1."""
    panels = plot_state_occupancy(occupancy(), arms=ARMS)
    assert len(panels) == 2
    areas = {area.get_label(): area.get_paths()[0] for area in panels[0].collections}
    assert list(areas) == [outcome_label(s) for s in ("CR", "PR", "NR", "flare", "eskd", "death")]
    assert areas["Complete response"].contains_point((1.5, 0.49))
    assert not areas["Complete response"].contains_point((1.5, 0.51))
    assert max(path.vertices[:, 1].max() for path in areas.values()) == pytest.approx(1.0)


def test_a_user_s_own_matplotlib_settings_change_nothing() -> None:
    import matplotlib

    usual = figure_svg(DRAWN["rates"](), name="x", description="x")
    with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": "other", "axes.facecolor": "red"}):
        assert figure_svg(DRAWN["rates"](), name="x", description="x") == usual
        assert matplotlib.rcParams["font.size"] == 20


def test_axes_without_a_figure_cannot_be_written() -> None:
    axes = DRAWN["balance"]()
    axes.remove()
    with pytest.raises(ValueError, match="removed from their figure"):
        figure_svg(axes, name="x", description="x")


def test_arms_differ_in_colour_line_and_marker() -> None:
    styles = arm_styles({code: code for code in "abcd"})
    for look in ("colour", "line", "marker"):
        assert len({getattr(style, look) for style in styles}) == 4


@pytest.mark.parametrize("arms", [{}, {code: code for code in "abcde"}])
def test_too_few_or_many_arms_are_refused(arms: dict[str, str]) -> None:
    with pytest.raises(AnalysisError, match=rf"one to 4 arms; got {len(arms)} arms"):
        arm_styles(arms)


def test_bars_have_the_height_of_the_proportions_and_carry_the_counts() -> None:
    panels = plot_response_states(states(), arms=ARMS)
    assert [axes.get_title() for axes in panels] == ["Tacrolimus", "No tacrolimus"]
    heights = np.array([[bar.get_height() for bar in bars] for bars in panels[0].containers])
    np.testing.assert_allclose(heights, [[0.5, 0.4], [0.3, 0.2], [0.1, 0.2], [0.1, 0.2]])
    bottoms = np.array([[bar.get_y() for bar in bars] for bars in panels[0].containers])
    np.testing.assert_allclose(bottoms, np.cumsum(heights, axis=0) - heights)
    assert [text.get_text() for text in panels[0].texts] == ["5", "4", "3", "2", "1", "2", "1", "2"]


def test_a_state_without_patients_has_no_count_and_an_absent_visit_no_bar() -> None:
    none = plot_response_states(states(), arms=ARMS)[1]
    assert [text.get_text() for text in none.texts] == ["6", "1", "1"]
    assert none.containers[0][1].get_height() == 0


def test_rates_are_drawn_at_their_visit_with_their_interval() -> None:
    panels = plot_response_rates(rates(), arms=ARMS)
    assert [axes.get_title(loc="left") for axes in panels] == ["Complete response", "Complete or partial response"]
    centre, _, (bars,) = panels[0].containers[0].lines
    np.testing.assert_allclose(centre.get_ydata(), [0.4, 0.45])
    np.testing.assert_allclose(centre.get_xdata(), [6, 12], atol=1)
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[0.3, 0.5], [0.35, 0.55]])
    first, second = (container.lines[0].get_xdata() for container in panels[0].containers)
    assert (first < second).all()


def test_a_survival_curve_starts_at_one_steps_and_marks_censorings() -> None:
    axes, numbers = plot_survival(curves(), at_risk(), arms=ARMS)
    curve, censored = axes.lines[:2]
    assert curve.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(curve.get_xdata(), [0, 0.5, 1, 2])
    np.testing.assert_allclose(curve.get_ydata(), [1, 0.9, 0.9, 0.6])
    np.testing.assert_allclose(censored.get_xdata(), [1.0])
    assert axes.lines[0].get_linestyle() != axes.lines[2].get_linestyle()
    assert [text.get_text() for text in numbers.texts] == ["10", "6", "2"] * 2
    assert axes.get_xlabel() == "Years since day 0"


def test_two_units_of_time_are_refused() -> None:
    with pytest.raises(AnalysisError, match="times need one unit; got day, year"):
        plot_survival(curves(), at_risk("day"), arms=ARMS)


def test_incidence_starts_at_zero_in_one_panel_a_cause_on_one_scale() -> None:
    panels = plot_cumulative_incidence(incidence(), arms=ARMS)
    assert [axes.get_title(loc="left") for axes in panels] == ["Renal flare", "End-stage kidney disease or death"]
    np.testing.assert_allclose(panels[0].lines[0].get_ydata(), [0, 0.1])
    assert panels[0].get_ylim() == panels[1].get_ylim()


def test_an_arm_without_a_curve_is_refused() -> None:
    table = incidence()
    only = ResultTable(table.frame[table.frame["group"] == "tac"].reset_index(drop=True))
    with pytest.raises(AnalysisError, match="no curve for an arm; got no rows of none"):
        plot_cumulative_incidence(only, arms=ARMS)


def test_differences_are_in_percentage_points_and_say_which_side_is_which() -> None:
    (axes,) = plot_risk_differences({"unadjusted": differences()}, arms=ARMS)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [-21, 7])
    np.testing.assert_allclose(axes.lines[1].get_xdata(), [-7])
    assert [text.get_text() for text in axes.texts] == ["−7.0 (−21.0 to 7.0)", "—"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["6 months", "1 year"]
    left, right = axes.get_xlabel().splitlines()[1].split("|")
    assert "more on No tacrolimus" in left
    assert "more on Tacrolimus" in right


def test_partial_response_alone_is_not_a_difference_to_favour_an_arm_by() -> None:
    assert set(difference_rows(differences())["term"]) == {"CR"}


def test_each_way_of_estimating_has_a_panel_and_a_look() -> None:
    panels = plot_risk_differences({"unadjusted": differences(), "weighted": differences()}, arms=ARMS)
    assert [axes.get_title(loc="left").split(", ")[1] for axes in panels] == ["unadjusted", "weighted"]
    assert panels[0].lines[1].get_marker() != panels[1].lines[1].get_marker()


def test_differences_need_an_outcome_and_one_known_contrast() -> None:
    with pytest.raises(AnalysisError, match="no complete or overall response"):
        plot_risk_differences({}, arms=ARMS)
    with pytest.raises(AnalysisError, match="one contrast of two arms; got tac v none, b v c"):
        plot_risk_differences({"unadjusted": differences(contrast="b v c")}, arms=ARMS)
    with pytest.raises(AnalysisError, match="an arm without a label; got none"):
        plot_risk_differences({"unadjusted": differences()}, arms={"tac": "Tacrolimus"})


def test_hazard_ratios_are_of_the_arm_only_and_a_failed_model_shows_a_dash() -> None:
    axes = plot_hazard_ratios(hazards(), treated="tac", arms=ARMS)
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.5, 4.0])
    np.testing.assert_allclose(axes.lines[1].get_xdata(), [2.0])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Unadjusted", "Adjusted"]
    assert [text.get_text() for text in axes.texts] == ["2.00 (0.50 to 4.00)", "—"]
    left, right = axes.get_xlabel().splitlines()[1].split("|")
    assert "fewer events on Tacrolimus" in left
    assert "fewer on No tacrolimus" in right


def test_hazard_ratios_need_a_term_of_the_arm_and_two_arms() -> None:
    table = hazards()
    without = ResultTable(table.frame[table.frame["term"] == "age_years"].reset_index(drop=True))
    with pytest.raises(AnalysisError, match="no term of the arm"):
        plot_hazard_ratios(without, treated="tac", arms=ARMS)
    with pytest.raises(AnalysisError, match="one contrast of two arms; got b, c"):
        plot_hazard_ratios(table, treated="tac", arms={"tac": "A", "b": "B", "c": "C"})


def test_balance_goes_from_the_most_to_the_least_different() -> None:
    axes = plot_balance(balance(), arms=ARMS)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Pure class V", "Age, years", "Diabetes"]
    before, after = axes.lines[-2:]
    np.testing.assert_allclose(before.get_xdata(), [-0.4, 0.05, math.nan])
    np.testing.assert_allclose(after.get_xdata(), [0.02, 0.01, math.nan])
    assert before.get_marker() != after.get_marker()
    assert axes.get_xlabel().endswith("← higher on No tacrolimus   |   higher on Tacrolimus →")


def test_balance_without_a_contrast_names_no_direction() -> None:
    frame = balance().frame
    table = ResultTable(frame.assign(contrast=frame["contrast"].where(frame["contrast"].isna())))
    assert plot_balance(table, arms=ARMS).get_xlabel() == "Standardised mean difference"


def test_a_table_for_another_figure_is_refused() -> None:
    with pytest.raises(AnalysisError, match="plot_response_rates: no rows of statistic proportion; got survival"):
        plot_response_rates(curves(), arms=ARMS)
    with pytest.raises(AnalysisError, match="got an empty table"):
        plot_response_rates(result_table([]), arms=ARMS)
    with pytest.raises(AnalysisError, match="a group without a label; got none"):
        plot_response_rates(rates(), arms={"tac": "Tacrolimus"})


def test_settings_are_left_as_they_were() -> None:
    import matplotlib

    def settings() -> dict[str, object]:  # looking up the backend would choose one
        return {name: matplotlib.rcParams[name] for name in matplotlib.rcParams if name != "backend"}

    before = settings()
    with house_style():
        assert matplotlib.rcParams["svg.hashsalt"] == "lncohort"
    DRAWN["survival"]()
    assert settings() == before


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (p_value(0.00099), "<0.001"),
        (p_value(0.001), "0.001"),
        (p_value(1.0), ">0.999"),
        (p_value(math.nan), "—"),
        (equation("p", p_value(0.0)), "p < 0.001"),
        (equation("p", p_value(0.25)), "p = 0.250"),
        (number(-0.0, 1), "0.0"),
        (number(-3.25, 1), "−3.2"),
        (number(math.inf, 1), "infinity"),
        (number(-math.inf, 1), "−infinity"),
        (count(math.nan), "—"),
        (percent(math.nan), "—"),
        (measurement(-150.2), "−150"),
        (rounded(100.0), "100"),
        (rounded(10.0), "10"),
        (rounded(math.nan), "—"),
        (interval(0.5, math.nan, 0.9), "0.50 (— to 0.90)"),
        (interval(0.5, math.nan, math.nan), "0.50"),
        (interval(math.nan, math.nan, math.nan), "—"),
        (visit_label(18), "18 months"),
        (short_visit_label(0), "0"),
        (in_words("sle_duration_mean"), "SLE duration mean"),
        (outcome_label("eskd or death"), "End-stage kidney disease or death"),
        (covariate_label("treated:visit=month 06"), "Treated × Visit: 6 months"),
    ],
)
def test_numbers_and_labels_are_written_for_a_clinical_reader(written: str, expected: str) -> None:
    assert written == expected
