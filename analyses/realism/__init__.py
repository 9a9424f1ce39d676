"""Is a cohort one a nephrologist would take for real? Its values beside those of other cohorts, and in themselves."""

from __future__ import annotations

from analyses.realism.correlations import correlation_rows
from analyses.realism.distributions import baseline_distributions
from analyses.realism.examples import example_courses, example_trajectories
from analyses.realism.marginals import marginal_rows
from analyses.realism.plausibility import plausibility_rows
from analyses.realism.ranges import RealismRanges
from analyses.realism.table import realism_table

__all__ = [
    "RealismRanges",
    "baseline_distributions",
    "correlation_rows",
    "example_courses",
    "example_trajectories",
    "marginal_rows",
    "plausibility_rows",
    "realism_table",
]
