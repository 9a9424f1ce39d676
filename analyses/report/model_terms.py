"""A fitted model as a table of ratios, in the words of the study's arms."""

from __future__ import annotations

import pandas as pd

from analyses.figures.forest import TREATED_TERM
from analyses.figures.formatting import exponential, interval, p_value
from analyses.figures.labels import contrast_arms, covariate_label, in_words
from analyses.report.content import Group, Row, Table
from analyses.report.inputs import Facts, Results
from cohort.results import ResultTable

INTERCEPT = "Intercept"


def treated_code(results: Results) -> str:
    """Return the code of the arm that contrasts put first; the study's first arm where there is no contrast."""
    for table in results.tables.values():
        for contrast in table.frame["contrast"].dropna():
            first, _ = contrast_arms(str(contrast))
            if first in results.facts.labels:
                return first
    return results.facts.arms[0].code


def term_label(term: str, facts: Facts) -> str:
    """Name a model term; the indicator of the treated arm becomes the contrast of the arms.

    Parameters
    ----------
    term
        As a result table holds it.
    facts
        Arms of the study, the treated one first.
    """
    arms = " v ".join(arm.label for arm in facts.arms)
    words = [arms if part == TREATED_TERM else covariate_label(part) for part in term.split(":")]
    return " × ".join(words)


def model_table(
    table: ResultTable, facts: Facts, *, statistic: str, caption: str, heading: str, notes: tuple[str, ...] = ()
) -> Table:
    """Lay out the ratios of one or several models.

    Parameters
    ----------
    table
        Rows of ``statistic`` (on the log scale) by ``term``; ``population`` names the model if there are several.
    facts
        Arms of the study.
    statistic
        ``"log_odds_ratio"`` or ``"log_hazard_ratio"``.
    caption, heading
        Of the table, and of the column of ratios.
    notes
        Shown under the table, before the methods.

    Returns
    -------
    Table
        A group of rows a model. A term without an estimate shows a dash and why.
    """
    frame = table.frame
    rows = frame[(frame["statistic"] == statistic).fillna(False).to_numpy(dtype=bool) & (frame["term"] != INTERCEPT)]
    models = rows["population"].fillna("")
    groups = [
        Group(
            tuple(_row(row, facts) for _, row in rows[(models == model).to_numpy()].iterrows()), _model_heading(model)
        )
        for model in dict.fromkeys(models)
    ]
    methods = dict.fromkeys(f"{method[:1].upper()}{method[1:]}." for method in rows["method"].dropna())
    return Table(caption, ("Term", f"{heading} (95 % CI)", "p"), tuple(groups), notes=(*notes, *methods))


def _model_heading(model: str) -> str:
    return f"{in_words(model)} model" if model else ""


def _row(row: pd.Series, facts: Facts) -> Row:
    note = "" if pd.isna(row["note"]) else str(row["note"])
    ratios = (exponential(row[name]) for name in ("estimate", "conf_low", "conf_high"))
    return Row((term_label(str(row["term"]), facts), interval(*ratios, note=note), p_value(row["p_value"])))
