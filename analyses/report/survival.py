"""The sections on flares: survival free of them, and their cumulative incidence."""

from __future__ import annotations

from collections.abc import Mapping

from analyses.figures import figure_svg, plot_cumulative_incidence, plot_hazard_trend, plot_survival
from analyses.figures.formatting import count, equation, p_value
from analyses.figures.labels import contrast_arms, model_label, outcome_label
from analyses.report.cells import amount, last_rows, methods_of, ratio, said_of_test, share, statistic_rows, when
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
    figures += _weighted_figure(results) + _trend_figure(results)
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


def _weighted_figure(results: Results) -> tuple[Figure, ...]:
    """The curves of the arms weighted by the propensity score, with the weight at risk."""
    curves, at_risk = (results.estimated(name) for name in ("weighted_survival", "weighted_at_risk"))
    if curves is None or at_risk is None or len(results.facts.arms) == 1:
        return ()
    labels = results.facts.labels
    axes = plot_survival(curves, at_risk, arms=labels, counted="Weighted number at risk")
    generated = (
        " The covariates of this cohort are generated: what weighting changes tells nothing about the study's patients."
    )
    return (
        Figure(
            figure_svg(axes[0], name="weighted-survival", description=_curves_description(curves, labels)),
            "The same curves with each patient weighted by the inverse probability of the own arm, so that both arms "
            "resemble all patients in the covariates measured. Weights are scaled to add up to the patients of an arm; "
            "beneath: weight still under observation and free of an event. The intervals (shaded) take the weights as "
            f"known.{generated if results.facts.synthetic else ''}",
        ),
    )


def _trend_figure(results: Results) -> tuple[Figure, ...]:
    """Schoenfeld residuals of the arm with the line through them, and the test of a level line."""
    table, tests = (results.estimated(name) for name in ("cox_over_time", "cox_proportional_hazards"))
    labels = results.facts.labels
    if table is None or not len(statistic_rows(table, "log_hazard_ratio_trend")["estimate"].dropna()):
        return ()
    said = [] if tests is None else [
        f"{model_label(str(row['population'])).lower()} {equation('p', p_value(row['p_value']))}"
        for _, row in tests.frame[(tests.frame["term"] == "treated").to_numpy(dtype=bool)].iterrows()
    ]  # fmt: skip
    axes = plot_hazard_trend(table, arms=labels)
    tested = f" Test that the line is level: {', '.join(said)}." if said else ""
    return (
        Figure(
            figure_svg(
                axes[0],
                name="hazard-trend",
                description=f"Hazard ratio of the arms over time, a panel a model: points, line and band.{tested}",
            ),
            "Whether one hazard ratio describes the whole follow-up. Circles: one for each event (scaled Schoenfeld "
            "residuals), above when it fell in the first arm and below when in the other; line and shade: their smooth "
            f"mean with a pointwise 95 % band. A level line means a ratio that stays the same.{tested} With few events "
            "only a large change would show.",
        ),
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
            *_tested(results),
        ),
        figures=(
            Figure(
                figure_svg(axes[0], name="incidence", description=_incidence_description(table, labels)),
                "Cumulative incidence with competing events (Aalen-Johansen), with pointwise 95 % intervals (shaded).",
            ),
        ),
        tables=_hazard_tables(results),
        folded=(_incidence_table(table, labels),),
    )


def _tested(results: Results) -> tuple[str, ...]:
    """Gray's test and what the two kinds of hazard mean, where arms are compared."""
    if len(results.facts.arms) == 1:
        return ()
    names = ("flare_gray_test", "flare_hazards")
    test, hazards = (results.estimated(name) for name in names)
    said = () if test is None else [said_of_test(row) for _, row in statistic_rows(test, "chi_square").iterrows()]
    meant = (
        "Two hazards answer two questions: the cause-specific one is the rate of flare among those still free of an "
        "event; the subdistribution one says which way the curve moves, and is no ratio of rates.",
    )
    return (
        *said,
        *(() if hazards is None else meant),
        *reasons(results.failures(*names), results.missing(*names), "the comparison of incidence"),
    )


def _hazard_tables(results: Results) -> tuple[Table, ...]:
    table = results.estimated("flare_hazards")
    if table is None or len(results.facts.arms) == 1:
        return ()
    rows = statistic_rows(table, "log_hazard_ratio", "log_subdistribution_hazard_ratio")
    return (
        Table(
            f"First renal flare, {' v '.join(results.facts.labels.values())}",
            ("Hazard", "Ratio (95 % CI)", "p"),
            plain_rows(
                (model_label(str(row["population"])).removesuffix(" hazard"), ratio(row), p_value(row["p_value"]))
                for _, row in rows.iterrows()
            ),
            notes=methods_of(rows),
        ),
    )


def _curves_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    said = "; ".join(
        f"{label} {share(row)} at {when(row)}" for label, row in last_rows(statistic_rows(table, "survival"), labels)
    )
    return f"Kaplan-Meier curves of survival free of renal flare, one line an arm, numbers at risk beneath. {said}."


def _incidence_description(table: ResultTable, labels: Mapping[str, str]) -> str:
    rows = statistic_rows(table, "cumulative_incidence")
    said = []
    for cause in dict.fromkeys(rows["term"]):
        ends = last_rows(rows[rows["term"] == cause], labels)
        values = "; ".join(f"{label} {share(row)} at {when(row)}" for label, row in ends)
        said.append(f"{outcome_label(cause)}: {values}.")
    return f"Cumulative incidence curves, one line an arm, in panels by cause. {' '.join(said)}"


def _incidence_table(table: ResultTable, labels: Mapping[str, str]) -> Table:
    rows = statistic_rows(table, "cumulative_incidence")
    groups = []
    for cause in dict.fromkeys(rows["term"]):
        own = rows[rows["term"] == cause]
        events = own.groupby("group")["n_events"].sum()
        ends = last_rows(own, labels)
        groups.append(
            Group(
                tuple(
                    Row((label, count(float(events[row["group"]])), f"{share(row)} at {when(row)}"))
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
    notes = () if test is None else tuple(said_of_test(row) for _, row in statistic_rows(test, "chi_square").iterrows())
    if means is None:
        return ()
    rows = [
        (label, count(row["n"]), count(row["n_events"]), amount(row))
        for label, row in last_rows(statistic_rows(means, "restricted_mean"), labels)
    ]
    for _, row in statistic_rows(means, "restricted_mean_difference").iterrows():
        first, second = (labels.get(code, code) for code in contrast_arms(str(row["contrast"])))
        rows.append((f"Difference {first} − {second}", count(row["n"]), count(row["n_events"]), amount(row)))
    horizon = when(means.frame.iloc[0])
    return (
        Table(
            f"Mean time free of an event within the first {horizon}",
            ("Arm", "Patients", "Events", f"Mean (95 % CI), {means.frame['time_unit'].iloc[0]}s"),
            plain_rows(rows),
            notes=notes,
        ),
    )
