"""The section on how far the comparison depends on what was assumed and chosen."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from analyses.figures import figure_svg, plot_specification_curve, plot_variations
from analyses.figures.formatting import MISSING, count, exponential, interval, number, percent
from analyses.figures.labels import contrast_arms, covariate_label, outcome_label, variation_label, visit_label
from analyses.report.cells import note_of, points, ratio, statistic_rows
from analyses.report.content import Figure, Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable

_TABLES = (
    "unmeasured_confounding",
    "leave_one_covariate_out",
    "negative_controls",
    "trimming_path",
    "response_multiverse",
    "event_multiverse",
)
_CONTRASTS = ("risk_difference", "log_hazard_ratio")
_NAMES = {"risk_difference": "difference in complete response", "log_hazard_ratio": "hazard ratio of an event"}
_VARIED = {
    "leave_one_covariate_out": (
        "The {what}, weighted, with each covariate left out of the score in turn. The thin line is the estimate with "
        "every covariate: a point away from it shows how much that covariate's adjustment matters."
    ),
    "trimming_path": (
        "The {what}, weighted, among patients whose score lies within ever narrower bounds. Each line is about other "
        "patients: a drift may be an effect that differs as well as a few patients who weigh too much."
    ),
}
_CURVES = {
    "response_multiverse": "difference in complete response",
    "event_multiverse": "hazard ratio of an event",
}


def sensitivity_section(results: Results) -> Section:
    """Make the section on unmeasured confounding, single covariates, negative controls, trimming and choices."""
    title = "How far this depends on assumptions and choices"
    if len(results.facts.arms) == 1:
        return Section("sensitivity", title, ("The study has one arm: nothing is compared.",))
    tables = {name: table for name in _TABLES if (table := results.estimated(name)) is not None}
    return Section(
        "sensitivity",
        title,
        (
            "None of this shows that the comparison is right. It shows what would have to be wrong, and by how much, "
            "for it to come out differently. Where lines agree they share every assumption that was not varied.",
            *(said for name in _CURVES if name in tables for said in _summary(tables[name], _CURVES[name])),
            *reasons(results.failures(*_TABLES), results.missing(*_TABLES), "sensitivity analyses"),
            *results.unvarying(*_TABLES),
            *results.left_out(*_TABLES),
        ),
        figures=tuple(_figures(tables, results)),
        folded=tuple(_folded(tables)),
    )


def _figures(tables: dict[str, ResultTable], results: Results) -> Iterator[Figure]:
    labels = results.facts.labels
    for name, what in _CURVES.items():
        if name in tables and _drawable(tables[name]):
            axes, _ = plot_specification_curve(tables[name], arms=labels)
            said = " ".join(_summary(tables[name], what))
            yield Figure(
                figure_svg(axes, name=name.replace("_", "-"), description=f"Specification curve. {said}"),
                f"Every combination of the choices below, one analysis each: the {what} with its 95 % confidence "
                "interval, in order of size. Dark: the interval excludes the null. All are of the same patients: "
                "they are no independent tests, and how many agree is no measure of evidence.",
            )
    for name, caption in _VARIED.items():
        for statistic in _CONTRASTS:
            rows = statistic_rows(tables[name], statistic) if name in tables else pd.DataFrame()
            if len(rows) and rows["contrast"].notna().all():
                axes = plot_variations(tables[name], statistic=statistic, arms=labels)
                drawn = f"{name}-{statistic}".replace("_", "-")
                yield Figure(
                    figure_svg(axes, name=drawn, description=_description(rows, statistic)),
                    caption.format(what=_NAMES[statistic]),
                )


def _drawable(table: ResultTable) -> bool:
    rows = statistic_rows(table, *_CONTRASTS)
    return bool(rows["contrast"].notna().any() and rows["estimate"].notna().any())


def _summary(table: ResultTable, what: str) -> tuple[str, ...]:
    """Say in a sentence what the specifications of a multiverse found."""
    frame = table.frame[table.frame["population"].eq("all specifications").fillna(False).to_numpy(dtype=bool)]
    found = {str(row["statistic"]): float(row["estimate"]) for _, row in frame.iterrows()}
    if not found.get("specifications_fitted"):
        return ()
    is_ratio = (table.frame["statistic"] == "log_hazard_ratio").any()
    values = (found[name] for name in ("median", "smallest", "largest"))
    middle, low, high = ((number(exponential(value), 2) if is_ratio else number(100 * value, 1)) for value in values)
    unit = "" if is_ratio else " percentage points"
    share = found["share_excluding_null"]
    clear = "" if share != share else f"; the interval excludes the null in {percent(share, 0)}"
    fitted, all_of = count(found["specifications_fitted"]), count(found["specifications"])
    return (
        f"Over {fitted} of {all_of} combinations of choices the {what} has a median of {middle}{unit} and lies between "
        f"{low} and {high}{clear}. These are descriptions of the choices listed, not of chance.",
    )


def _description(rows: pd.DataFrame, statistic: str) -> str:
    write = ratio if statistic == "log_hazard_ratio" else points
    said = "; ".join(f"{variation_label(str(row['population']))} {write(row)}" for _, row in rows.iterrows())
    return f"Forest plot, {_NAMES[statistic]}, {rows['contrast'].iloc[0]}. {said}."


def _folded(tables: dict[str, ResultTable]) -> Iterator[Table]:
    if (table := tables.get("unmeasured_confounding")) is not None:
        yield _e_values(table)
        yield _tipping(table)
    if (table := tables.get("leave_one_covariate_out")) is not None:
        yield _left_out(table)
    if (table := tables.get("negative_controls")) is not None:
        yield _negative_controls(table)
    if (table := tables.get("trimming_path")) is not None:
        yield _trimmed(table)


def _outcome(row: pd.Series) -> str:
    name = covariate_label(str(row["term"])) if pd.isna(row["time"]) else outcome_label(str(row["term"]))
    return name if pd.isna(row["time"]) else f"{name}, {visit_label(row['time'])}"


def _e_values(table: ResultTable) -> Table:
    rows = statistic_rows(table, "e_value")
    keys = rows[["term", "time"]].drop_duplicates()
    lines = []
    for _, key in keys.iterrows():
        own = rows[(rows["term"].eq(key["term"]) & (rows["time"].eq(key["time"]) | pd.isna(key["time"]))).to_numpy()]
        cells = {str(row["group"]): number(float(row["estimate"]), 2) for _, row in own.iterrows()}
        lines.append((_outcome(key), cells.get("estimate", MISSING), cells.get("confidence limit", MISSING)))
    return Table(
        "E-values of the weighted risk ratios of response and of the weighted hazard ratio",
        ("Outcome", "Of the estimate", "Of the confidence limit"),
        plain_rows(lines),
        notes=(
            "How strongly, as a risk ratio, an unmeasured confounder would have to go with both arm and outcome, "
            "beyond the covariates, to explain the estimate (or its limit nearer to no effect) away. 1: none needed. "
            "Compare it with what the measured covariates do; no value is safe by itself.",
        ),
    )


def _tipping(table: ResultTable) -> Table:
    groups = []
    rows = statistic_rows(table, "tipping_risk_ratio")
    for key, own in rows.groupby(rows.apply(_outcome, axis="columns"), sort=False):
        lines = tuple(
            Row((f"{float(str(row['group']).partition('=')[2]):.0%}", _strength(row))) for _, row in own.iterrows()
        )
        groups.append(Group(lines, str(key)))
    return Table(
        "What an unmeasured binary confounder would have to do to the outcome to move the ratio to 1",
        ("Present in the first arm", "Risk ratio of the confounder on the outcome"),
        tuple(groups),
        notes=tuple(f"Imagined: {method}." for method in dict.fromkeys(rows["method"].dropna())),
    )


def _strength(row: pd.Series) -> str:
    if pd.isna(row["estimate"]):
        return f"{MISSING} ({note_of(row)})"
    return "<0.01" if float(row["estimate"]) < 0.005 else number(float(row["estimate"]), 2)


def _left_out(table: ResultTable) -> Table:
    lines = []
    for population in dict.fromkeys(table.frame["population"].dropna()):
        own = table.frame[table.frame["population"].eq(population).to_numpy(dtype=bool)]
        if not str(population).startswith("without "):
            lines.append((variation_label(str(population)), *_contrasts(own), MISSING, MISSING, MISSING, MISSING))
            continue
        difference, hazard = (_first(own, f"change_in_{name}") for name in _CONTRASTS)
        before, after = (
            own[own["statistic"].eq(name).to_numpy(dtype=bool)] for name in ("smd_unadjusted", "smd_adjusted")
        )
        lines.append(
            (
                variation_label(str(population)),
                *_contrasts(own),
                MISSING if difference is None else number(100 * float(difference["estimate"]), 1),
                MISSING if hazard is None else number(exponential(float(hazard["estimate"])), 2),
                number(float(before["estimate"].abs().max()), 2),
                number(float(after["estimate"].abs().max()), 2),
            )
        )
    return Table(
        "Each covariate left out of the score",
        (
            "Score",
            "Difference, points",
            "Hazard ratio",
            "Change of the difference",
            "Factor on the hazard ratio",
            "SMD before",
            "SMD weighted without it",
        ),
        plain_rows(lines),
        notes=(
            "SMD: absolute standardised mean difference of the covariate left out, the largest of its levels, before "
            "weighting and under weights that do not know it.",
        ),
    )


def _contrasts(rows: pd.DataFrame) -> tuple[str, str]:
    """Return the cells of the difference and the hazard ratio."""
    difference, hazard = (_first(rows, name) for name in _CONTRASTS)
    return MISSING if difference is None else points(difference), MISSING if hazard is None else ratio(hazard)


def _first(rows: pd.DataFrame, statistic: str) -> pd.Series | None:
    found = rows[rows["statistic"].eq(statistic).to_numpy(dtype=bool)]
    return found.iloc[0] if len(found) else None


def _negative_controls(table: ResultTable) -> Table:
    rows = statistic_rows(table, *_CONTRASTS, "standardised_mean_difference")
    lines = []
    for _, row in rows.iterrows():
        kind = str(row["statistic"])
        write = {"log_hazard_ratio": ratio, "risk_difference": points}
        shown = write[kind](row) if kind in write else interval(row["estimate"], row["conf_low"], row["conf_high"])
        scale = {"log_hazard_ratio": "hazard ratio", "risk_difference": "points"}.get(kind, "standard deviations")
        shown = MISSING if pd.isna(row["estimate"]) else shown  # the reason has a column of its own
        lines.append((covariate_label(str(row["term"])), str(row["population"]), shown, scale, note_of(row)))
    return Table(
        "Outcomes that treatment cannot have caused",
        ("Outcome", "Comparison", "Difference or ratio (95 % CI)", "Scale", "What it means"),
        plain_rows(lines),
        notes=("The true effect on each is none. With few events an interval excludes little, and shows little.",),
        text_columns=frozenset({4}),
    )


def _trimmed(table: ResultTable) -> Table:
    frame = table.frame
    arms = contrast_arms(str(frame["contrast"].dropna().iloc[0])) if frame["contrast"].notna().any() else ("", "")
    lines = []
    for population in dict.fromkeys(frame["population"].dropna()):
        own = frame[frame["population"].eq(population).to_numpy(dtype=bool)]
        cells = [variation_label(str(population))]
        for statistic, write in (("left_out", count), ("effective_sample_size", lambda value: number(value, 1))):
            rows = own[own["statistic"].eq(statistic).to_numpy(dtype=bool)].set_index("group")["estimate"]
            cells.append(" and ".join(write(float(rows.get(arm, float("nan")))) for arm in arms))
        lines.append((*cells, *_contrasts(own)))
    return Table(
        "Patients left out by trimming the score",
        ("Kept", "Left out, first and second arm", "Effective number kept", "Difference, points", "Hazard ratio"),
        plain_rows(lines),
        notes=("The estimate is then that of the patients kept, not of all.",),
    )
