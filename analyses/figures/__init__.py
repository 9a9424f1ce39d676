"""Figures drawn from result tables. They estimate nothing, and return matplotlib axes."""

from __future__ import annotations

from analyses.figures.adjustments import plot_adjustments
from analyses.figures.causal_diagram import plot_causal_diagram
from analyses.figures.correlations import plot_correlations
from analyses.figures.cumulative_incidence import plot_cumulative_incidence
from analyses.figures.distributions import plot_distributions
from analyses.figures.forest import plot_hazard_ratios, plot_risk_differences, plot_subgroup_ratios, plot_variations
from analyses.figures.geometric_means import plot_proteinuria_course
from analyses.figures.hazard_trend import plot_hazard_trend
from analyses.figures.love import plot_balance
from analyses.figures.mean_events import plot_mean_events
from analyses.figures.overlap import plot_overlap
from analyses.figures.response_rates import plot_response_rates
from analyses.figures.response_states import plot_response_states
from analyses.figures.specification_curve import plot_specification_curve
from analyses.figures.state_occupancy import plot_state_occupancy
from analyses.figures.survival_curves import plot_survival
from analyses.figures.svg import figure_svg
from analyses.figures.swimmer import plot_swimmer
from analyses.figures.trajectories import plot_trajectories
from analyses.figures.visit_strategies import plot_visit_strategies

__all__ = [
    "figure_svg",
    "plot_adjustments",
    "plot_balance",
    "plot_causal_diagram",
    "plot_correlations",
    "plot_cumulative_incidence",
    "plot_distributions",
    "plot_hazard_ratios",
    "plot_hazard_trend",
    "plot_mean_events",
    "plot_overlap",
    "plot_proteinuria_course",
    "plot_response_rates",
    "plot_response_states",
    "plot_risk_differences",
    "plot_specification_curve",
    "plot_state_occupancy",
    "plot_subgroup_ratios",
    "plot_survival",
    "plot_swimmer",
    "plot_trajectories",
    "plot_variations",
    "plot_visit_strategies",
]
