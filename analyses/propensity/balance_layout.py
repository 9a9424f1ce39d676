"""Balance laid out the way a journal prints it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cohort.results import ResultTable


def balance_table(balance: ResultTable, *, digits: int = 2) -> pd.DataFrame:
    """Lay out balance the way a journal prints it: one line per covariate, text ready to print.

    Parameters
    ----------
    balance
        Rows of :func:`analyses.propensity.covariate_balance` or :meth:`PropensityFit.balance`, of whichever measures.
    digits
        Decimals.

    Returns
    -------
    pandas.DataFrame
        ``Covariate``; then for the patients as observed and for each weighting the columns there are rows for: the mean
        (SD) or percentage of each arm, ``SMD``, ``Variance ratio``, ``KS``, ``Overlap``, headed ``Unweighted: SMD``,
        ``Weighted: SMD`` or the name of the weighting. What was not estimated is an en dash.

    Examples
    --------
    >>> from analyses.propensity import covariate_balance
    >>> data = pd.DataFrame({"arm": ["a", "a", "b", "b"], "age_years": [1.0, 3.0, 0.0, 2.0]})
    >>> table = covariate_balance(data, ["age_years"], treatment_col="arm", treated="a", measures=("mean", "smd"))
    >>> balance_table(table).iloc[0].tolist()
    ['age_years', '2.00 (1.41)', '1.00 (1.41)', '0.71']
    """
    headings = {"smd": "SMD", "variance_ratio": "Variance ratio", "ks": "KS", "overlap": "Overlap"}
    lines: dict[str, dict[str, str]] = {}
    frame = balance.frame
    measured = set(frame.loc[frame["statistic"].str.startswith("sd_"), "term"])
    for row in frame.to_dict("records"):
        measure, _, suffix = str(row["statistic"]).rpartition("_")
        given = "" if pd.isna(row["population"]) else str(row["population"])
        heading = "Unweighted" if suffix == "unadjusted" else given or "Weighted"
        line = lines.setdefault(str(row["term"]), {"Covariate": str(row["term"])})
        number = "–" if np.isnan(row["estimate"]) else f"{row['estimate']:.{digits}f}"
        if measure == "sd":
            line[f"{heading}: {row['group']}"] += f" ({number})"
        elif measure == "mean":
            share = row["term"] not in measured and not np.isnan(row["estimate"])
            line[f"{heading}: {row['group']}"] = f"{100 * row['estimate']:.1f} %" if share else number
        else:
            line[f"{heading}: {headings[measure]}"] = number
    table = pd.DataFrame(list(lines.values()))
    order = sorted(table.columns[1:], key=lambda name: not str(name).startswith("Unweighted"))
    weightings = list(dict.fromkeys(str(name).split(": ")[0] for name in order))
    return table[["Covariate", *sorted(order, key=lambda name: weightings.index(str(name).split(": ")[0]))]].fillna("")
