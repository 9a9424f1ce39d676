"""Time-to-event estimators: curves, tests, restricted means, Cox models and cumulative incidence."""

from analyses.survival.coefficient_trend import coefficient_trend
from analyses.survival.cox import fit_cox
from analyses.survival.cox_fit import CoxFit
from analyses.survival.cumulative_incidence import cumulative_incidence
from analyses.survival.fine_gray import fit_fine_gray
from analyses.survival.fine_gray_fit import FineGrayFit
from analyses.survival.gray import gray_test
from analyses.survival.incidence_at import cumulative_incidence_at
from analyses.survival.kaplan_meier import censorings, kaplan_meier, numbers_at_risk
from analyses.survival.logrank import logrank, logrank_events, logrank_trend
from analyses.survival.milestones import survival_at
from analyses.survival.nelson_aalen import nelson_aalen
from analyses.survival.parametric import fit_parametric
from analyses.survival.parametric_fit import ParametricFit
from analyses.survival.quantiles import median_survival, survival_quantiles
from analyses.survival.recurrent import fit_recurrent, mean_cumulative_events, recurrent_flares
from analyses.survival.response_clock import Landmark, landmark, since_first_response
from analyses.survival.restricted_mean import restricted_mean
from analyses.survival.subgroups import subgroup_effects
from analyses.survival.turnbull import turnbull

__all__ = [
    "CoxFit",
    "FineGrayFit",
    "Landmark",
    "ParametricFit",
    "censorings",
    "coefficient_trend",
    "cumulative_incidence",
    "cumulative_incidence_at",
    "fit_cox",
    "fit_fine_gray",
    "fit_parametric",
    "fit_recurrent",
    "gray_test",
    "kaplan_meier",
    "landmark",
    "logrank",
    "logrank_events",
    "logrank_trend",
    "mean_cumulative_events",
    "median_survival",
    "nelson_aalen",
    "numbers_at_risk",
    "recurrent_flares",
    "restricted_mean",
    "since_first_response",
    "subgroup_effects",
    "survival_at",
    "survival_quantiles",
    "turnbull",
]
