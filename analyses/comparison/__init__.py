"""Contrasts between arms that account for confounding."""

from __future__ import annotations

from analyses.comparison.augmented import augmented_rates
from analyses.comparison.matched import matched_rates
from analyses.comparison.standardised import standardised_rates
from analyses.comparison.weighted import weighted_rates

__all__ = ["augmented_rates", "matched_rates", "standardised_rates", "weighted_rates"]
