"""Time-to-event estimators: curves, tests, restricted means, Cox models and cumulative incidence."""

from analyses.survival.cox import CoxFit, fit_cox
from analyses.survival.cumulative_incidence import cumulative_incidence
from analyses.survival.kaplan_meier import kaplan_meier, median_survival, numbers_at_risk
from analyses.survival.logrank import logrank
from analyses.survival.restricted_mean import restricted_mean

__all__ = [
    "CoxFit",
    "cumulative_incidence",
    "fit_cox",
    "kaplan_meier",
    "logrank",
    "median_survival",
    "numbers_at_risk",
    "restricted_mean",
]
