"""The propensity score: its model, the weights it gives and the balance they achieve."""

from __future__ import annotations

from analyses.propensity.matched_sample import Matching
from analyses.propensity.matching import match_patients
from analyses.propensity.score import PropensityFit, fit_propensity
from analyses.propensity.subclassification import subclassify
from analyses.propensity.weights import EstimatedWeights

__all__ = ["EstimatedWeights", "Matching", "PropensityFit", "fit_propensity", "match_patients", "subclassify"]
