"""Contrasts between arms that account for confounding."""

from __future__ import annotations

from analyses.comparison.augmented import augmented_rates
from analyses.comparison.augmented_area import augmented_restricted_mean
from analyses.comparison.censoring import censoring_weights
from analyses.comparison.compare import compare_arms
from analyses.comparison.compare_outcomes import BinaryOutcome, EventOutcome
from analyses.comparison.matched import matched_rates
from analyses.comparison.standardised import standardised_rates
from analyses.comparison.standardised_survival import standardised_survival
from analyses.comparison.weighted import weighted_rates
from analyses.comparison.weighted_curves import weighted_incidence, weighted_restricted_mean, weighted_survival
from analyses.comparison.weighted_hazards import weighted_hazard_ratio, weighted_logrank

__all__ = [
    "BinaryOutcome",
    "EventOutcome",
    "augmented_rates",
    "augmented_restricted_mean",
    "censoring_weights",
    "compare_arms",
    "matched_rates",
    "standardised_rates",
    "standardised_survival",
    "weighted_hazard_ratio",
    "weighted_incidence",
    "weighted_logrank",
    "weighted_rates",
    "weighted_restricted_mean",
    "weighted_survival",
]
