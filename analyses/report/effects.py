"""The sections that compare the arms: forest plots, and the balance that weighting reaches."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analyses.figures import figure_svg, plot_balance, plot_hazard_ratios, plot_risk_differences
from analyses.figures.forest import TREATED_TERM, difference_rows
from analyses.figures.formatting import MISSING, count, exponential, interval, number, p_value
from analyses.figures.labels import covariate_label, model_label, outcome_label, visit_label
from analyses.figures.love import AFTER_WEIGHTING, BALANCE_LIMIT
from analyses.report.content import Figure, Group, Row, Section, Table, plain_rows, reasons
from analyses.report.inputs import Results
from analyses.report.model_terms import model_table, term_label, treated_code
from cohort.results import ResultTable, concat_results

_DIFFERENCES = {
    "response_differences": "unadjusted",
    "weighted_response": "weighted",
    "response_standardised": "standardised",
}
"""Tables of differences, and the word for how each was estimated."""

_COX = ("cox", "weighted_cox")

_DRAWN_ADJUSTMENTS = ("logistic score", "entropy balancing", "CBPS", "matched pairs", "full matching")
"""Adjustments in the love plot; the table has all."""

BY_LOT = (
    "The arms were allocated at random: the unadjusted comparison is the one that the design supports. The propensity "
    "score estimates a lottery, so weights take away chance differences and no confounding."
)


def effects_section(results: Results) -> Section:
    """Make the forest plots: differences of response rates by visit, and hazard ratios by model."""
    labels = results.facts.labels
    title = "Comparison of the arms"
    if len(labels) == 1:
        return Section("effects", title, ("The study has one arm: nothing is compared.",))
    differences = {
        kind: table
        for name, kind in _DIFFERENCES.items()
        if (table := results.estimated(name)) is not None and len(difference_rows(table))
    }
    treated = treated_code(results)
    cox = _cox_models(results, treated)
    said = (
        *reasons(
            results.failures(*_DIFFERENCES), results.missing("response_differences", "weighted_response"), "differences"
        ),
        *reasons(results.failures(*_COX), results.missing("cox"), "hazard ratios"),
    )
    figures = []
    folded = []
    if differences:
        axes = plot_risk_differences(differences, arms=labels)
        figures.append(
            Figure(
                figure_svg(axes[0], name="differences", description=_differences_description(differences)),
                "Differences of response rates between the arms with 95 % confidence intervals. Right of the dashed "
                "line more patients respond in the arm named on the right. Weighted: inverse-probability weights; "
                "standardised: regression on baseline covariates averaged over all patients.",
            )
        )
        folded.append(_differences_table(differences))
    if cox is not None:
        axes_of_ratios = plot_hazard_ratios(cox, treated=treated, arms=labels)
        figures.append(
            Figure(
                figure_svg(axes_of_ratios, name="hazards", description=_hazards_description(cox, results)),
                "Hazard ratio of renal flare, end-stage kidney disease or death from three Cox models, with 95 % "
                "confidence intervals. Left of the dashed line the arm named on the left has fewer events.",
            )
        )
        folded.extend(_cox_tables(cox, results))
    return Section(
        "effects",
        title,
        (
            f"Everything here compares {labels[treated]} with the other arm: differences above 0 mean more responders, "
            f"hazard ratios below 1 fewer events, on {labels[treated]}. Unadjusted, adjusted and weighted estimates "
            "answer different questions and need not agree.",
            *([BY_LOT] if results.facts.randomised else []),
            *said,
            *_restrictions(results),
        ),
        figures=tuple(figures),
        folded=tuple(folded),
    )


def _restrictions(results: Results) -> tuple[str, ...]:
    """Say of which estimates patients are left out, and how many."""
    by_model = {
        "Adjusted hazard ratios": ("cox",),
        "Standardised differences": ("response_standardised",),
        "Weighted estimates": ("weighted_response", "weighted_cox"),
    }
    return tuple(
        f"{model} leave out patients who lack a covariate. {remark}"
        for model, names in by_model.items()
        for remark in results.left_out(*names)
    )


def balance_section(results: Results) -> Section:
    """Make the love plot of covariate balance before and after weighting."""
    title, name = "Balance of the arms before and after adjusting", "propensity_balance"
    if len(results.facts.arms) == 1:
        return Section("balance", title, ("The study has one arm: nothing is balanced.",))
    table = results.estimated(name)
    if table is None:
        return Section("balance", title, reasons(results.failures(name), results.missing(name), "balance"))
    size = results.estimated("propensity_sample_size")
    axes = plot_balance(_drawn_balance(table), arms=results.facts.labels)
    return Section(
        "balance",
        title,
        (
            "Weights and matching make the arms alike in the covariates shown; they do nothing about what was not "
            "measured.",
            *([BY_LOT] if results.facts.randomised else []),
            *results.left_out(name),
        ),
        figures=(
            Figure(
                figure_svg(axes, name="balance", description=_balance_description(table)),
                f"Standardised mean differences between the arms. Dashed lines at ±{BALANCE_LIMIT}: within them, "
                "balance is customarily called good. One denominator throughout, the spread before adjusting, so that "
                "nearer to 0 means closer means. Matched pairs leave out patients without a partner.",
            ),
        ),
        folded=(_balance_table(table, size, results.facts.labels),),
    )


def _cox_models(results: Results, treated: str) -> ResultTable | None:
    fitted = [table for name in _COX if (table := results.estimated(name)) is not None]
    models = concat_results(fitted)
    of_the_arm = models.frame["term"].isin([TREATED_TERM, f"arm={treated}"])
    return models if of_the_arm.any() else None


def _differences_description(tables: Mapping[str, ResultTable]) -> str:
    said = []
    for kind, table in tables.items():
        rows = difference_rows(table)
        last = rows.sort_values("time", kind="stable").iloc[-1]
        said.append(f"{outcome_label(last['term'])}, {kind}, at {visit_label(last['time'])}: {_difference(last)}")
    return f"Forest plot of differences in response rates by visit, in percentage points. {'; '.join(said)}."


def _difference(row: pd.Series) -> str:
    note = "" if pd.isna(row["note"]) else str(row["note"])
    return interval(row["estimate"], row["conf_low"], row["conf_high"], decimals=1, scale=100, note=note)


def _differences_table(tables: Mapping[str, ResultTable]) -> Table:
    groups = []
    methods: list[str] = []
    for kind, table in tables.items():
        rows = difference_rows(table)
        methods.extend(f"{kind.capitalize()}: {method}" for method in dict.fromkeys(rows["method"].dropna()))
        for term in dict.fromkeys(rows["term"]):
            own = rows[(rows["term"] == term).to_numpy()].sort_values("time", kind="stable")
            lines = tuple(
                Row((visit_label(row["time"]), _difference(row), f"{count(row['n_events'])} of {count(row['n'])}"))
                for _, row in own.iterrows()
            )
            groups.append(Group(lines, f"{outcome_label(term)}, {kind}"))
    return Table(
        "Differences of response rates, percentage points",
        ("Visit", "Difference (95 % CI)", "Responders, both arms"),
        tuple(groups),
        notes=tuple(methods),
    )


def _hazards_description(cox: ResultTable, results: Results) -> str:
    terms = [TREATED_TERM, f"arm={treated_code(results)}"]
    rows = cox.frame[cox.frame["term"].isin(terms)]
    said = "; ".join(
        f"{row['population']} " + interval(*(exponential(row[name]) for name in ("estimate", "conf_low", "conf_high")))
        for _, row in rows.iterrows()
    )
    return f"Forest plot of hazard ratios, {term_label(TREATED_TERM, results.facts)}. {said}."


def _cox_tables(cox: ResultTable, results: Results) -> list[Table]:
    tables = [
        model_table(
            cox,
            results.facts,
            statistic="log_hazard_ratio",
            caption="Cox models of the first renal flare, end-stage kidney disease or death",
            heading="Hazard ratio",
        )
    ]
    test = results.estimated("cox_proportional_hazards")
    if test is not None:
        rows = [
            (
                f"{str(row['population']).capitalize()}: "
                + ("all terms" if row["term"] == "GLOBAL" else term_label(str(row["term"]), results.facts)),
                number(row["estimate"], 2),
                p_value(row["p_value"]),
            )
            for _, row in test.frame[test.frame["statistic"] == "chi_square"].iterrows()
        ]
        tables.append(
            Table(
                "Test of proportional hazards",
                ("Model and term", "Chi-square", "p"),
                plain_rows(rows),
                notes=(
                    "A small p speaks against a hazard ratio that stays the same over time.",
                    *dict.fromkeys(f"{method[:1].upper()}{method[1:]}." for method in test.frame["method"].dropna()),
                ),
            )
        )
    return tables


def _smds(table: ResultTable) -> pd.DataFrame:
    """Standardised mean differences by covariate: before, and after every adjustment."""
    frame = table.frame
    before = frame[(frame["statistic"] == "smd_unadjusted").to_numpy(dtype=bool)].set_index("term")["estimate"]
    after = frame[(frame["statistic"] == "smd_adjusted").to_numpy(dtype=bool)]
    columns = {"Before": before} | {
        model_label(str(name)): own.set_index("term")["estimate"]
        for name, own in after.groupby(after["population"].fillna(AFTER_WEIGHTING), sort=False)
    }
    return pd.DataFrame(columns).reindex(list(before.index))


def _drawn_balance(table: ResultTable) -> ResultTable:
    """Leave out the adjustments for which the plot has no room."""
    population = table.frame["population"]
    kept = population.isna() | population.isin(_DRAWN_ADJUSTMENTS)
    return ResultTable(table.frame[kept.to_numpy(dtype=bool)], table.metadata)


def _in_sentence(name: str) -> str:
    return name if name[1:2].isupper() else f"{name[:1].lower()}{name[1:]}"


def _balance_description(table: ResultTable) -> str:
    smds = _smds(table).abs()
    said = "; ".join(
        f"{int((own > BALANCE_LIMIT).sum())} {_in_sentence(str(name))} (largest {number(float(own.max()), 2)})"
        for name, own in smds.items()
    )
    return (
        f"Love plot of standardised mean differences of {len(smds)} covariates. Beyond {BALANCE_LIMIT} in absolute "
        f"value: {said}."
    )


def _balance_table(table: ResultTable, size: ResultTable | None, labels: Mapping[str, str]) -> Table:
    smds = _smds(table)
    rows = [
        (covariate_label(str(term)), *(number(float(value), 2) for value in values))
        for term, values in zip(smds.index, smds.to_numpy(), strict=True)
    ]
    lacking = table.frame.loc[table.frame["estimate"].isna(), "note"].dropna()
    notes = [f"{MISSING} {note}." for note in dict.fromkeys(lacking)]
    if size is not None:
        said = ", ".join(
            f"{labels.get(row['group'], row['group'])} {number(row['estimate'], 1)} of {count(row['n'])}"
            for _, row in size.frame.iterrows()
        )
        notes.append(f"Effective number of patients after weighting: {said}.")
    return Table(
        "Standardised mean differences",
        ("Covariate", *smds.columns),
        plain_rows(rows),
        notes=tuple(notes),
    )
