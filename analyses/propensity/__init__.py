"""The propensity score: its model, the weights it gives, where arms overlap and the balance achieved."""

from __future__ import annotations

from analyses.propensity.balance import balance_table, covariate_balance
from analyses.propensity.fitting import fit_propensity
from analyses.propensity.matched_sample import Matching
from analyses.propensity.matching import match_patients
from analyses.propensity.score import PropensityFit
from analyses.propensity.subclassification import subclassify
from analyses.propensity.weights import EstimatedWeights

__all__ = [
    "EstimatedWeights",
    "Matching",
    "PropensityFit",
    "balance_table",
    "covariate_balance",
    "fit_propensity",
    "match_patients",
    "subclassify",
]
