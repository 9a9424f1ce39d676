"""Response rates by group and visit, and their unadjusted comparison."""

from __future__ import annotations

from analyses.response.first_response import (
    first_response_intervals,
    median_first_response,
    sustained_response_rates,
)
from analyses.response.rates import compare_rates, response_rates
from analyses.response.subgroups import subgroup_differences

__all__ = [
    "compare_rates",
    "first_response_intervals",
    "median_first_response",
    "response_rates",
    "subgroup_differences",
    "sustained_response_rates",
]
