"""The sections beside event-free survival: every flare, poor outcome, and what follows response."""

from __future__ import annotations

from collections.abc import Mapping

from analyses.figures import figure_svg, plot_hazard_ratios, plot_mean_events, plot_survival
from analyses.figures.forest import TREATED_TERM
from analyses.figures.formatting import count, p_value
from analyses.figures.labels import model_label, outcome_label
from analyses.report.cells import (
    amount,
    last_rows,
    matching,
    methods_of,
    ratio,
    said_of_test,
    share,
    statistic_rows,
    when,
)
from analyses.report.content import Figure, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from analyses.report.model_terms import treated_code
from cohort.results import ResultTable

_PWP = (
    "Andersen-Gill compares the rates of all flares, alike in kind. Prentice-Williams-Peterson (PWP) compares the "
    "hazard of the next flare among patients with the same number before it, on the clock of day 0 (total time) or "
    "since the last flare (gap time); from the second flare on it compares patients whom the first one has selected."
)


def poor_outcome_section(results: Results) -> Section:
    """Make the section on end-stage kidney disease or death."""
    title = "Poor outcome: end-stage kidney disease or death"
    curves = ("poor_outcome_survival", "poor_outcome_at_risk")
    others = ("poor_outcome_logrank", "poor_outcome_cox")
    survival, test, cox = (results.estimated(name) for name in (curves[0], *others))
    labels = results.facts.labels
    compared = len(labels) > 1
    events = _events(survival, labels)
    said = [] if survival is None else [f"Patients with such an event: {', '.join(events)}."]
    if compared and test is not None:
        said += [said_of_test(row) for _, row in statistic_rows(test, "chi_square").iterrows()]
    if compared and cox is not None:
        rows = statistic_rows(cox, "log_hazard_ratio")
        said += [f"Hazard ratio, {' v '.join(labels.values())}: {ratio(row)}." for _, row in rows.iterrows()]
    return Section(
        "poor-outcome",
        title,
        (
            "Counted from day 0; a flare neither ends nor censors it. With few events the curve and the numbers say "
            "more than any ratio.",
            " ".join(said),
            *reasons(results.failures(*curves), results.missing(*curves), "the curves"),
            *(reasons(results.failures(*others), results.missing(*others), "the comparison") if compared else ()),
        )
        if said
        else reasons(results.failures(*curves, *others), results.missing(*curves), "poor outcome"),
        figures=_curves(
            results,
            curves,
            name="poor",
            groups=labels,
            quantity="Free of ESKD and death",
            caption="Kaplan-Meier estimate of the share of patients alive without end-stage kidney disease (ESKD), "
            "with pointwise 95 % intervals (shaded), marks where follow-up ends, and the numbers at risk.",
        ),
    )


def _events(survival: ResultTable | None, labels: Mapping[str, str]) -> list[str]:
    if survival is None:
        return []
    rows = statistic_rows(survival, "survival")
    by_group = rows.groupby("group", observed=True)
    events, patients = by_group["n_events"].sum(), by_group["n"].max()
    return [
        f"{label} {count(float(events[code]))} of {count(float(patients[code]))}"
        for code, label in labels.items()
        if code in events.index
    ]


def _curves(
    results: Results,
    names: tuple[str, str],
    *,
    name: str,
    groups: Mapping[str, str],
    quantity: str,
    caption: str,
    since: str = "day 0",
) -> tuple[Figure, ...]:
    curves, at_risk = (results.estimated(table) for table in names)
    if curves is None or at_risk is None:
        return ()
    drawn = set(statistic_rows(curves, "survival")["group"].dropna())
    shown = {code: label for code, label in groups.items() if code in drawn}
    axes = plot_survival(curves, at_risk, arms=shown, quantity=quantity, since=since)
    ends = last_rows(statistic_rows(curves, "survival"), shown)
    said = "; ".join(f"{label} {share(row)} at {when(row)}" for label, row in ends)
    description = f"Kaplan-Meier curves, {quantity.lower()}, one line a group, numbers at risk beneath. {said}."
    return (Figure(figure_svg(axes[0], name=name, description=description), caption),)


def recurrent_section(results: Results) -> Section:
    """Make the section on every flare: ratios under three models, and the mean number per patient."""
    title, names = "Every flare, not the first alone", ("recurrent_flares", "mean_flares")
    models, means = (results.estimated(name) for name in names)
    labels = results.facts.labels
    compared = len(labels) > 1
    figures: list[Figure] = []
    if means is not None:
        axes = plot_mean_events(means, arms=labels)
        ends = last_rows(statistic_rows(means, "mean_events"), labels)
        said = "; ".join(f"{label} {amount(row)} at {when(row)}" for label, row in ends)
        figures.append(
            Figure(
                figure_svg(axes, name="flares", description=f"Mean number of flares per patient over time. {said}."),
                "Mean number of flares per patient enrolled, the dead counted with the flares they had (Ghosh-Lin), "
                "with pointwise 95 % intervals (shaded).",
            )
        )
    folded = []
    if models is not None and compared:
        rows = statistic_rows(models, "log_hazard_ratio")
        if rows["estimate"].notna().any():
            treated = treated_code(results)
            forest = plot_hazard_ratios(models, treated=treated, arms=labels, counted="flares")
            described = "; ".join(f"{model_label(str(row['population']))} {ratio(row)}" for _, row in rows.iterrows())
            figures.append(
                Figure(
                    figure_svg(forest, name="recurrent", description=f"Forest plot of hazard ratios. {described}."),
                    f"Hazard ratio of renal flare under three models of recurrent events. {_PWP}",
                )
            )
        folded.append(
            Table(
                "Recurrent flares: hazard ratios",
                ("Model", "Hazard ratio (95 % CI)", "p", "Flares"),
                plain_rows(
                    (model_label(str(row["population"])), ratio(row), p_value(row["p_value"]), count(row["n_events"]))
                    for _, row in matching(rows, term=TREATED_TERM).iterrows()
                ),
                notes=methods_of(rows),
            )
        )
    shown = names if compared else names[1:]
    return Section(
        "recurrent",
        title,
        (
            "A patient can flare more than once. Counting every flare is a check on the analysis of the first: at risk "
            "from day 0 to end-stage kidney disease, death or the end of follow-up.",
            *reasons(results.failures(*shown), results.missing(*shown), "recurrent flares"),
        ),
        figures=tuple(figures),
        folded=tuple(folded),
    )


def after_response_section(results: Results) -> Section:
    """Make the descriptive section on what follows response."""
    by_response = ("survival_by_response", "survival_by_response_at_risk")
    from_response = ("survival_from_response", "survival_from_response_at_risk")
    states = {state: outcome_label(state) for state in ("CR", "PR", "NR", "flare")}
    table = results.estimated(by_response[0])
    start = "" if table is None else str(table.frame["population"].iloc[0])
    names = (*by_response, *from_response)
    return Section(
        "after-response",
        "What follows response",
        (
            "Descriptive only. Response comes after treatment starts, so neither responders and others nor the "
            "responders of two arms are alike. Both figures leave out the time that somebody must stay free of an "
            "event to be called a responder; neither takes away confounding.",
            *reasons(results.failures(*names), results.missing(*names), "what follows response"),
        ),
        figures=(
            *_curves(
                results,
                by_response,
                name="landmark",
                groups=states,
                quantity="Free of flare, ESKD, death",
                since="the landmark",
                caption=f"Patients {start}, by their response there: Kaplan-Meier estimate of the share free of renal "
                "flare, end-stage kidney disease and death, counted from there. Descriptive: the groups differ in more "
                "than response.",
            ),
            *_curves(
                results,
                from_response,
                name="responders",
                groups=results.facts.labels,
                quantity="Free of flare, ESKD, death",
                caption="Responders of each arm, on the clock of day 0: each enters at the first response, so the "
                "numbers at risk rise first. Descriptive: treatment had a part in who responded.",
            ),
        ),
    )
