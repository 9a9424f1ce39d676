"""Cases of analyses.response."""

from __future__ import annotations

from estimator_cases.case import VISITS, Case, Exempt

from analyses.response import compare_rates, response_rates, subgroup_differences

NO_WEIGHTS = Exempt("it takes no weights")

CASES = (
    Case(
        "response_rates",
        lambda d, _: response_rates(d, outcome="CR"),
        of=(response_rates,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
    ),
    Case(
        "compare_rates",
        lambda d, _: compare_rates(d, reference="a"),
        of=(compare_rates,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case(
        "subgroup_differences",
        lambda d, _: subgroup_differences(d, treated="b", subgroup_col="site"),
        of=(subgroup_differences,),
        half_weights=NO_WEIGHTS,
        table=VISITS,
        refuses=("empty", "one_arm", "one_row"),
    ),
)
