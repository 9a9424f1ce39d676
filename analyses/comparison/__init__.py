"""Contrasts between arms that account for confounding."""

from __future__ import annotations

from analyses.comparison.matched import matched_rates
from analyses.comparison.weighted import weighted_rates

__all__ = ["matched_rates", "weighted_rates"]
