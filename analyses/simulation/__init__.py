"""Simulation studies: estimators judged over repeated samples whose truth is known."""

from __future__ import annotations

from analyses.simulation.performance import ESTIMATE_COLUMNS, performance

__all__ = ["ESTIMATE_COLUMNS", "performance"]
