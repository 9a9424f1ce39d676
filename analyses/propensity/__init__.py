"""The propensity score: its model, the weights it gives and the balance they achieve."""

from __future__ import annotations

from analyses.propensity.score import PropensityFit, fit_propensity
from analyses.propensity.weights import EstimatedWeights

__all__ = ["EstimatedWeights", "PropensityFit", "fit_propensity"]
