"""The section that sets every way of adjusting side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_adjustments
from analyses.figures.formatting import interval, p_value
from analyses.figures.labels import model_label, outcome_label, visit_label
from analyses.report.cells import matching, points, ratio, statistic_rows, when
from analyses.report.content import Figure, Group, Row, Section, Table, reasons
from analyses.report.effects import BY_LOT
from analyses.report.inputs import Results
from cohort.results import ResultTable

YEAR = 12
"""Month of the visit drawn beside the last one."""

_WAYS = (
    ("Unadjusted", "the arms as they are"),
    ("Weighted", "inverse probability of the arm, by the logistic score; right if the score is. The three lines are "
     "one "
     "estimate with three intervals: the score counted as estimated (stacked equations), the weights taken as known, "
     "and "
     "patients resampled with the score estimated anew each time"),
    ("Standardised", "a regression of the outcome, averaged over all patients in each arm (g-computation); right if "
     "the regression is. Of responses logistic, of event times a Cox model in which each arm has a baseline hazard of "
     "its own"),
    ("Doubly robust", "both together (AIPW); right if either is"),
    ("Matched pairs", "each patient on {first} with the nearest free one of the other, none farther than 0.2 "
     "standard deviations of the log odds; speaks of those who found a partner"),
    ("Full matching", "everybody in subclasses of near scores, one of one arm with one or more of the other"),
    ("Score subclasses", "fifths of the score, averaged"),
)  # fmt: skip

_NOTHING = 1e-9

_DRAWN = (
    ("restricted_mean_difference", "mean-time", "Difference of the mean event-free time within {horizon}"),
    ("log_hazard_ratio", "hazard", "Hazard ratio of renal flare, end-stage kidney disease or death"),
)
"""Effects on event-free survival that are drawn: statistic, name of the figure, what it is."""

_GENERATED = (
    "The covariates of this cohort were generated, not recorded: print fixes how many patients responded, not who they "
    "were. How far adjusting moves an estimate here shows how the methods behave on data of this size; it tells "
    "nothing "
    "about the patients of the study."
)
_CONFOUNDED = (
    "How far the arms differ, and how much of that bears on the outcome, was assumed when the cohort was made: whether "
    "the unadjusted comparison of the study was confounded cannot be seen from it."
)


def adjusted_section(results: Results) -> Section:
    """Make the forest plots of response differences and event-free survival by way of adjusting."""
    title, names = "Effects by way of adjusting", ("compared_response", "compared_survival")
    if len(results.facts.arms) == 1:
        return Section("adjusted", title, ("The study has one arm: nothing is compared.",))
    response, survival = (results.estimated(name) for name in names)
    labels = results.facts.labels
    figures: list[Figure] = []
    folded: list[Table] = []
    if response is not None:
        for term in dict.fromkeys(response.frame["term"].dropna()):
            own = ResultTable(matching(response.frame, term=term), {})
            figures.extend(_response_figure(own, str(term), labels))
            folded.append(_response_table(own, str(term)))
    if survival is not None:
        figures.extend(_survival_figures(survival, labels))
        folded.append(_survival_table(survival))
    return Section(
        "adjusted",
        title,
        (
            "The same comparison, estimated in the usual ways. All but the first adjust for the same measured "
            "covariates and assume that nothing else sways both treatment and outcome; where they agree, little hangs "
            "on the choice of method, which does not make that assumption true. They do not all speak of the same "
            "patients, so they need not agree.",
            *([BY_LOT] if results.facts.randomised else []),
            *([_GENERATED] if results.facts.synthetic else []),
            *([] if results.facts.randomised or not results.facts.synthetic else [_CONFOUNDED]),
            *results.unvarying(*names),
            *results.left_out(*names),
            *reasons(results.failures(*names), results.missing(*names), "some of the ways"),
        ),
        terms=tuple((way, words.format(first=next(iter(labels.values())))) for way, words in _WAYS) if figures else (),
        figures=tuple(figures),
        folded=tuple(folded),
    )


def _response_figure(table: ResultTable, term: str, labels: Mapping[str, str]) -> list[Figure]:
    rows = statistic_rows(table, "risk_difference")
    months = sorted(rows["time"].dropna().unique())
    if not _spread(rows):
        return []
    shown = sorted({YEAR if YEAR in months else months[0], months[-1]})
    drawn = rows[rows["time"].isin(shown)]
    axes = plot_adjustments(ResultTable(drawn, {}), statistic="risk_difference", arms=labels)
    outcome = outcome_label(term)
    said = _said(drawn, points)
    return [
        Figure(
            figure_svg(
                axes[0],
                name=f"adjusted-{'-'.join(term.lower().split())}",
                description=f"Forest plot of the difference in {outcome.lower()} by way of adjusting. {said}.",
            ),
            f"{outcome}: difference between the arms among the patients assessed at the visit, with 95 % confidence "
            "intervals. Visits not drawn, and why a line has a dash, are in the table. Nothing here corrects for who "
            "is "
            "not assessed.",
        )
    ]


def _spread(rows: pd.DataFrame) -> bool:
    """Return whether there is anything to draw: where nobody or everybody has the event, all lines are points at 0."""
    return bool(((rows["conf_high"] - rows["conf_low"]) > _NOTHING).any())


def _survival_figures(table: ResultTable, labels: Mapping[str, str]) -> list[Figure]:
    figures = []
    for statistic, name, words in _DRAWN:
        rows = statistic_rows(table, statistic)
        if not _spread(rows):
            continue
        axes = plot_adjustments(ResultTable(rows, {}), statistic=statistic, arms=labels)
        times = rows.dropna(subset=["time"])
        caption = words.format(horizon=when(times.iloc[0]) if len(times) else "follow-up")
        write = ratio if statistic == "log_hazard_ratio" else _plain
        figures.append(
            Figure(
                figure_svg(axes[0], name=f"adjusted-{name}",
                           description=f"Forest plot by way of adjusting. {caption}. {_said(rows, write)}."),
                f"{caption}, with 95 % confidence intervals; why a line has a dash is in the table. Those who leave "
                f"early are taken "
                "to be like those who stay within an arm.",
            )
        )  # fmt: skip
    return figures


def _plain(row: pd.Series) -> str:
    return interval(row["estimate"], row["conf_low"], row["conf_high"])


def _said(rows: pd.DataFrame, write: Callable[[pd.Series], str]) -> str:
    """Say every line of a plot: the way of adjusting, the visit where there are several, and the effect."""
    visits = rows["time"].nunique() > 1
    return "; ".join(
        f"{model_label(str(row['population']))}{_at(row) if visits else ''}: {write(row)}" for _, row in rows.iterrows()
    )


def _at(row: pd.Series) -> str:
    return f" at {visit_label(row['time'])}"


def _response_table(table: ResultTable, term: str) -> Table:
    groups = []
    for month in sorted(table.frame["time"].dropna().unique()):
        here = matching(table.frame, time=month)
        ways = here.groupby("population", sort=False)
        groups.append(Group(tuple(_response_row(str(way), own) for way, own in ways), visit_label(month)))
    return Table(
        f"{outcome_label(term)} by way of adjusting",
        ("Way", "Difference, points (95 % CI)", "Risk ratio", "Odds ratio", "p, difference", "Remark"),
        tuple(groups),
        text_columns=frozenset({5}),
    )


def _response_row(way: str, rows: pd.DataFrame) -> Row:
    writes = {"risk_difference": points, "risk_ratio": _plain, "odds_ratio": _plain}
    cells = (_cell(matching(rows, statistic=name), write) for name, write in writes.items())
    remark = "; ".join(dict.fromkeys(rows["note"].dropna()))
    return Row((model_label(way), *cells, _p(matching(rows, statistic="risk_difference")), remark))


def _cell(rows: pd.DataFrame, write: Callable[[pd.Series], str]) -> str:
    return write(rows.iloc[0]) if len(rows) else ""


def _survival_table(table: ResultTable) -> Table:
    rows = tuple(_survival_row(str(way), own) for way, own in table.frame.groupby("population", sort=False))
    return Table(
        "Event-free survival by way of adjusting",
        ("Way", "Difference of mean time, years", "Difference of survival at the end, points", "Hazard ratio",
         "p, hazard ratio", "p, log-rank", "Remark"),
        (Group(rows),),
        text_columns=frozenset({6}),
    )  # fmt: skip


def _survival_row(way: str, rows: pd.DataFrame) -> Row:
    writes = {"restricted_mean_difference": _plain, "survival_difference": points, "log_hazard_ratio": ratio}
    cells = (_cell(matching(rows, statistic=name), write) for name, write in writes.items())
    tested = (_p(matching(rows, statistic=name)) for name in ("log_hazard_ratio", "chi_square"))
    lacking = rows.loc[rows["estimate"].isna().to_numpy(), "note"].dropna()
    return Row((model_label(way), *cells, *tested, "; ".join(dict.fromkeys(lacking))))


def _p(rows: pd.DataFrame) -> str:
    return p_value(rows.iloc[0]["p_value"]) if len(rows) else ""
