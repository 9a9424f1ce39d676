"""The sections on flares: survival free of them, and their cumulative incidence."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_cumulative_incidence, plot_survival
from analyses.figures.formatting import count, equation, interval, p_value, percent_interval
from analyses.figures.labels import contrast_arms, outcome_label
from analyses.report.content import Figure, Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from cohort.results import ResultTable


def survival_section(results: Results) -> Section:
    """Make the Kaplan-Meier section, with numbers at risk, log-rank test and restricted means."""
    title = "Survival free of renal flare"
    names = ("flare_free_survival", "flare_free_at_risk")
    curves, at_risk = (results.estimated(name) for name in names)
    others = ("flare_free_logrank", "flare_free_restricted_mean")
    said = (
        *reasons(results.failures(*names), results.missing(*names), "the survival curves"),
        *reasons(results.failures(*others), results.missing(*others), "log-rank test or mean flare-free time"),
    )
    labels = results.facts.labels
    figures: tuple[Figure, ...] = ()
    if curves is not None and at_risk is not None:
        axes = plot_survival(curves, at_risk, arms=labels)
        figures = (
            Figure(
                figure_svg(axes[0], name="survival", description=_curves_description(curves, labels)),
                "Kaplan-Meier estimate of the share of patients alive without renal flare or end-stage kidney disease, "
                "with pointwise 95 % intervals (shaded). Small upright marks are patients whose follow-up ends. "
                "Beneath: patients still under observation and free of an event.",
            ),
        )
    return Section(
        "survival",
        title,
        (
            "The event is the first of renal flare, end-stage kidney disease and death, counted from day 0, the "
            f"{results.facts.day_zero}.",
            *said,
        ),
        figures=figures,
        tables=_comparison(results),
    )


def incidence_section(results: Results) -> Section:
    """Make the section on cumulative incidence of flare with competing events."""
    title, name = "Cumulative incidence of renal flare", "flare_incidence"
    table = results.estimated(name)
    if table is None:
        return Section("incidence", title, reasons(results.failures(name), results.missing(name), "the incidence"))
    labels = results.facts.labels
    axes = plot_cumulative_incidence(table, arms=labels)
    return Section(
        "incidence",
        title,
        (
            "How likely a first renal flare is by a given time, when end-stage kidney disease or death may come first. "
            "The panels add up to the share of patients no longer free of an event.",
        ),
        figures=(
            Figure(
                figure_svg(axes[0], name="incidence", description=_incidence_description(table, labels)),
                "Cumulative incidence with competing events (Aalen-Johansen), with pointwise 95 % intervals (shaded).",
            ),
        ),
        folded=(_incidence_table(table, labels),),
    )


def _rows(table: ResultTable, statistic: str) -> pd.DataFrame:
    frame = table.frame
    return frame[(frame["statistic"] == statistic).fillna(False).to_numpy(dtype=bool)]


def _share(row: pd.Series) -> str:
    note = "" if pd.isna(row["note"]) else str(row["note"])
    return percent_interval(row["estimate"], row["conf_low"], row["conf_high"], note=note)


def _time(row: pd.Series) -> str:
    amount = f"{row['time']:.3g}"
    return f"{amount} {row['time_unit']}{'' if amount == '1' else 's'}"


def _last_rows(rows: pd.DataFrame, labels: Mapping[str, str]) -> list[tuple[str, pd.Series]]:
    ordered = rows.sort_values("time", kind="stable")
    return [
        (label, ordered[ordered["group"] == code].iloc[-1])
        for code, label in labels.items()
        if (ordered["group"] == code).any()
    ]


def _curves_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    said = "; ".join(
        f"{label} {_share(row)} at {_time(row)}" for label, row in _last_rows(_rows(table, "survival"), labels)
    )
    return f"Kaplan-Meier curves of survival free of renal flare, one line an arm, numbers at risk beneath. {said}."


def _incidence_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    rows = _rows(table, "cumulative_incidence")
    said = []
    for cause in dict.fromkeys(rows["term"]):
        ends = _last_rows(rows[rows["term"] == cause], labels)
        values = "; ".join(f"{label} {_share(row)} at {_time(row)}" for label, row in ends)
        said.append(f"{outcome_label(cause)}: {values}.")
    return f"Cumulative incidence curves, one line an arm, in panels by cause. {' '.join(said)}"


def _incidence_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    rows = _rows(table, "cumulative_incidence")
    groups = []
    for cause in dict.fromkeys(rows["term"]):
        own = rows[rows["term"] == cause]
        events = own.groupby("group")["n_events"].sum()
        ends = _last_rows(own, labels)
        groups.append(
            Group(
                tuple(
                    Row((label, count(float(events[row["group"]])), f"{_share(row)} at {_time(row)}"))
                    for label, row in ends
                ),
                outcome_label(cause),
            )
        )
    return Table(
        "Events and cumulative incidence at the end of observation",
        ("Arm", "Events", "Cumulative incidence (95 % CI)"),
        tuple(groups),
    )


def _comparison(results: Results) -> tuple[Table, ...]:
    labels = results.facts.labels
    means = results.estimated("flare_free_restricted_mean")
    test = results.estimated("flare_free_logrank")
    notes = () if test is None else tuple(_logrank_note(row) for _, row in _rows(test, "chi_square").iterrows())
    if means is None:
        return ()
    rows = [
        (label, count(row["n"]), count(row["n_events"]), _mean(row))
        for label, row in _last_rows(_rows(means, "restricted_mean"), labels)
    ]
    for _, row in _rows(means, "restricted_mean_difference").iterrows():
        first, second = (labels.get(code, code) for code in contrast_arms(str(row["contrast"])))
        rows.append((f"Difference {first} − {second}", count(row["n"]), count(row["n_events"]), _mean(row)))
    horizon = _time(means.frame.iloc[0])
    return (
        Table(
            f"Mean time free of an event within the first {horizon}",
            ("Arm", "Patients", "Events", f"Mean (95 % CI), {means.frame['time_unit'].iloc[0]}s"),
            plain_rows(rows),
            notes=notes,
        ),
    )


def _mean(row: pd.Series) -> str:
    note = "" if pd.isna(row["note"]) else str(row["note"])
    return interval(row["estimate"], row["conf_low"], row["conf_high"], note=note)


def _logrank_note(row: pd.Series) -> str:
    method = str(row["method"]).capitalize()
    if pd.isna(row["p_value"]):
        return f"{method}: not computed ({row['note']})."
    return f"{method}: {equation('p', p_value(row['p_value']))}."
