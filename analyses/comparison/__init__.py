"""Contrasts between arms that account for confounding."""

from __future__ import annotations

from analyses.comparison.weighted import weighted_rates

__all__ = ["weighted_rates"]
