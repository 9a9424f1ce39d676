"""Models of repeated outcomes of the same patients."""

from __future__ import annotations

from analyses.longitudinal.gee import GeeFit, fit_gee
from analyses.longitudinal.marginal import marginal_response

__all__ = ["GeeFit", "fit_gee", "marginal_response"]
