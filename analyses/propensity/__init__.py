"""The propensity score: its model, the weights it gives, matching, where arms overlap and the balance achieved."""

from __future__ import annotations

from analyses.propensity.balance import covariate_balance
from analyses.propensity.balance_layout import balance_table
from analyses.propensity.fitting import fit_propensity
from analyses.propensity.matched_sample import Matching
from analyses.propensity.matching import match_patients
from analyses.propensity.overlap import overlap_histogram, overlap_table, positivity_table, weight_table
from analyses.propensity.score import PropensityFit
from analyses.propensity.subclassification import subclassify
from analyses.propensity.trimming import Trimming, crump_bound, trim_asymmetric, trim_crump, trim_symmetric
from analyses.propensity.weights import EstimatedWeights

__all__ = [
    "EstimatedWeights",
    "Matching",
    "PropensityFit",
    "Trimming",
    "balance_table",
    "covariate_balance",
    "crump_bound",
    "fit_propensity",
    "match_patients",
    "overlap_histogram",
    "overlap_table",
    "positivity_table",
    "subclassify",
    "trim_asymmetric",
    "trim_crump",
    "trim_symmetric",
    "weight_table",
]
