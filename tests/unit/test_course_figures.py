"""Figures of courses, strategies, events and subgroups show their numbers; drawings stay exact when shortened."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from analyses.figures import (
    figure_svg,
    plot_hazard_ratios,
    plot_mean_events,
    plot_proteinuria_course,
    plot_response_rates,
    plot_subgroup_ratios,
    plot_survival,
    plot_visit_strategies,
)
from cohort.errors import AnalysisError
from cohort.results import ResultTable, result_table

ARMS = {"tac": "Tacrolimus", "none": "No tacrolimus"}
STRATEGIES = ("observed cases", "non-responder imputation", "multiple imputation", "inverse probability of assessment")


def strategies() -> ResultTable:
    return result_table(
        [
            {"population": name, "group": arm, "time": month, "term": term, "estimate": rate}
            | {"conf_low": rate - 0.1, "conf_high": rate + 0.1}
            for arm in ARMS
            for term in ("CR", "CR or PR")
            for month in (6.0, 60.0)
            for name, rate in zip(STRATEGIES, (0.5, 0.4, 0.48, math.nan), strict=True)
        ],
        statistic="proportion",
    )


def proteinuria(last_month: float = 60.0) -> ResultTable:
    return result_table(
        [
            {"group": arm, "time": month, "estimate": math.log(value)}
            | {"conf_low": math.log(value / 2), "conf_high": math.log(value * 2)}
            for arm in ARMS
            for month, value in ((0.0, 3.0), (last_month, 0.4))
        ],
        statistic="mean",
    )


def flares() -> ResultTable:
    rows = [{"group": arm, "time": t, "estimate": t / 10, "n_events": 1} for arm in ARMS for t in (1.0, 2.0)]
    return result_table(rows, statistic="mean_events", time_unit="year")


def subgroups() -> ResultTable:
    row = {"contrast": "tac v none", "estimate": 0.0, "conf_low": math.log(0.5), "conf_high": math.log(2.0)}
    lacking = {"contrast": "tac v none", "group": "V", "population": "subgroup", "n": 21, "n_events": 5}
    whole = row | {"population": "all patients", "n": 179, "n_events": 46}
    return result_table([whole, lacking], statistic="log_hazard_ratio")


def curves(patients: float) -> tuple[ResultTable, ResultTable]:
    point = {"group": "CR", "time": 1.0, "estimate": 0.9, "n": patients, "n_events": 0}
    numbers = {"group": "CR", "time": 0.0, "estimate": patients}
    return (
        result_table([point], statistic="survival", time_unit="year"),
        result_table([numbers], statistic="at_risk", time_unit="year"),
    )


DRAWN: dict[str, Callable[[], Any]] = {
    "strategies": lambda: plot_visit_strategies(strategies(), arms=ARMS)[0],
    "proteinuria": lambda: plot_proteinuria_course(proteinuria(), arms=ARMS),
    "flares": lambda: plot_mean_events(flares(), arms=ARMS),
    "subgroups": lambda: plot_subgroup_ratios(subgroups(), arms=ARMS, reasons={"V": "no event on Tacrolimus"}),
}


@pytest.mark.parametrize("name", DRAWN)
def test_the_same_table_gives_the_same_bytes_as_one_well_formed_image(name: str) -> None:
    first, second = (figure_svg(DRAWN[name](), name=name, description="what it shows") for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("svg")


def test_strategies_stand_in_their_order_around_each_visit() -> None:
    panels = plot_visit_strategies(strategies(), arms=ARMS)
    assert [axes.get_title() for axes in panels] == [
        "Tacrolimus\nComplete response", "No tacrolimus\nComplete response",
        "Complete or partial response", "Complete or partial response",
    ]  # fmt: skip
    points = [container.lines[0] for container in panels[0].containers]
    np.testing.assert_allclose([line.get_ydata()[0] for line in points], [0.5, 0.4, 0.48, math.nan])
    places = [float(line.get_xdata()[0]) for line in points]
    assert places == sorted(places)
    assert np.mean(places) == pytest.approx(0.0, abs=1e-12)
    assert len({line.get_marker() for line in points}) == 4


def test_proteinuria_is_drawn_in_grams_per_gram() -> None:
    axes = plot_proteinuria_course(proteinuria(), arms=ARMS)
    np.testing.assert_allclose(axes.containers[0].lines[0].get_ydata(), [3.0, 0.4])
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "UPCR, g/g (log scale)"


@pytest.mark.parametrize("last_month", [6.0, 11.0, 60.0])
def test_every_point_is_within_its_axis_however_short_the_follow_up(last_month: float) -> None:
    row = {"estimate": 0.5, "conf_low": 0.4, "conf_high": 0.6, "term": "CR", "statistic": "proportion"}
    rates = result_table([row | {"group": arm, "time": month} for arm in ARMS for month in (3.0, last_month)])
    for axes in (
        plot_proteinuria_course(proteinuria(last_month), arms=ARMS),
        plot_response_rates(rates, arms=ARMS)[0],
    ):
        low, high = axes.get_xlim()
        drawn = np.concatenate([container.lines[0].get_xdata() for container in axes.containers])
        assert low < drawn.min() < drawn.max() < high


def test_flares_add_up_from_nothing() -> None:
    axes = plot_mean_events(flares(), arms=ARMS)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.0, 0.1, 0.2])
    assert axes.get_ylim()[0] < 0


def test_a_subgroup_without_an_estimate_shows_its_reason_where_the_point_would_be() -> None:
    axes = plot_subgroup_ratios(subgroups(), arms=ARMS, reasons={"V": "no event on Tacrolimus"})
    assert [label.get_text() for label in axes.get_yticklabels()] == ["All patients (179; 46)", "V (21; 5)"]
    assert [text.get_text() for text in axes.texts] == ["1.00 (0.50 to 2.00)", "no event on Tacrolimus", "—"]
    assert "no event" not in str([text.get_text() for text in plot_subgroup_ratios(subgroups(), arms=ARMS).texts])
    with pytest.raises(AnalysisError, match="an arm without a label; got none"):
        plot_subgroup_ratios(subgroups(), arms={"tac": "Tacrolimus"})


def test_models_of_recurrent_events_have_names_and_count_flares() -> None:
    row = {"term": "treated", "estimate": 0.0, "conf_low": -0.5, "conf_high": 0.5, "statistic": "log_hazard_ratio"}
    table = result_table([row | {"population": name} for name in ("andersen-gill", "pwp-gap")])
    axes = plot_hazard_ratios(table, treated="tac", arms=ARMS, counted="flares")
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Andersen-Gill", "PWP, gap time"]
    assert "fewer flares on Tacrolimus" in axes.get_xlabel()


def test_a_curve_says_where_its_clock_starts_and_leaves_room_for_large_numbers() -> None:
    drawn, few = plot_survival(*curves(9.0), arms={"CR": "Complete response"}, since="the landmark")
    assert drawn.get_xlabel() == "Years since the landmark"
    _, many = plot_survival(*curves(12345.0), arms={"CR": "Complete response"})
    pads = [axes.yaxis.get_major_ticks()[0].get_pad() for axes in (few, many)]
    assert pads == [9, 21]


def test_a_shortened_drawing_keeps_its_places_and_the_size_of_its_letters() -> None:
    import io

    axes = plot_mean_events(flares(), arms=ARMS)
    whole = io.StringIO()
    axes.get_figure().savefig(whole, format="svg", metadata={"Date": None})
    short = figure_svg(axes, name="x", description="d")
    assert len(short) < 0.8 * len(whole.getvalue())
    assert set(re.findall(r"scale\([^)]*\)", short)) <= set(re.findall(r"scale\([^)]*\)", whole.getvalue()))
    assert "scale(0.015625)" in short

    def corners(text: str) -> list[float]:
        root = ElementTree.fromstring(text[text.index("<svg") :])
        paths = [
            e.get("d", "") for e in root.iter() if e.tag.endswith("path") and "fill: none" in (e.get("style") or "")
        ]
        return [float(number) for path in paths for number in re.findall(r"-?\d+(?:\.\d+)?", path)]

    exact, kept = corners(whole.getvalue()), corners(short)
    assert len(exact) == len(kept) > 20
    np.testing.assert_allclose(kept, exact, atol=0.0051)
