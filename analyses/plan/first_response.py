"""When complete response is first reached, as far as visits tell, and how often it lasts."""

from __future__ import annotations

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.plan.attempts import Tables, attempt
from cohort.errors import AnalysisError
from cohort.results import ResultTable, concat_results

CURVE_BOOTSTRAPS = 200
CURVE_SEED = 1976
"""Of the bootstrap of the curves: fixed, so that the same cohort gives the same results."""


def first_response(data: AnalysisData) -> Tables:
    """Time to the first complete response between visits, its median, and complete response that lasts."""
    from analyses.response import first_response_intervals, median_first_response, sustained_response_rates
    from analyses.survival import turnbull

    def curves() -> ResultTable:
        found = turnbull(
            first_response_intervals(data),
            lower_col="lower_months",
            upper_col="upper_months",
            by="arm",
            bootstraps=CURVE_BOOTSTRAPS,
            seed=CURVE_SEED,
        )
        return _in_months(concat_results([_reached(found), median_first_response(found)]))

    def sustained() -> ResultTable:
        rates = sustained_response_rates(data)
        if not len(rates):
            raise AnalysisError("one visit after day 0: nothing can last", where="sustained_response")
        return rates

    return {
        "first_response": attempt("first_response", curves),
        "sustained_response": attempt("sustained_response", sustained),
    }


def _reached(curves: ResultTable) -> ResultTable:
    """Turn the share still without a response into the share that has had one; masses stay."""
    frame = curves.frame
    turned = (frame["statistic"] == "survival").to_numpy(dtype=bool)
    named = frame.assign(
        statistic=frame["statistic"].mask(turned, "proportion"),
        term=frame["term"].mask(turned, "first CR"),
        estimate=frame["estimate"].mask(turned, 1 - frame["estimate"]),
        conf_low=frame["conf_low"].mask(turned, 1 - frame["conf_high"]),
        conf_high=frame["conf_high"].mask(turned, 1 - frame["conf_low"]),
    )
    return ResultTable(named, curves.metadata)


def _in_months(table: ResultTable) -> ResultTable:
    unit = pd.Series("month", index=table.frame.index, dtype="string").where(table.frame["time"].notna())
    return ResultTable(table.frame.assign(time_unit=unit), table.metadata)
