"""The ways of adjusting a comparison of a cohort's arms, by name, with their scores fitted once."""

from __future__ import annotations

from functools import cached_property, lru_cache

import pandas as pd

from analyses.datasets import AnalysisData
from analyses.propensity import EstimatedWeights, Matching, PropensityFit, fit_propensity
from analyses.propensity.weights import Estimand
from analyses.varying_covariates import Covariates, varying_covariates
from cohort.errors import AnalysisError

UNADJUSTED = "unadjusted"
STANDARDISED = "standardised"
AUGMENTED = "augmented"
MATCHED = "matched 1:1"
CONDITIONAL = "covariates in the model"
WEIGHTED: dict[str, Estimand] = {
    "weighted, everybody": "ATE",
    "weighted, the treated": "ATT",
    "weighted, overlap": "ATO",
}
"""Weighting by the inverse probability, by the patients it speaks of."""

_CALIPER = 0.2
"""Standard deviations of the logit of the score, as Austin recommends (doi:10.1002/pst.433)."""


class Adjustments:
    """Score, weights and pairs of the patients with every covariate of the design, by those covariates that vary.

    Parameters
    ----------
    data
        Analysis frames of two arms.
    """

    def __init__(self, data: AnalysisData) -> None:
        if data.reference is None:
            raise AnalysisError("one arm: nothing to compare", where=f"arm {data.treated}")
        self.design = data.design
        self.arms = {"treatment_col": "arm", "treated": data.treated}
        self.cases: Covariates = varying_covariates(
            data.baseline, data.design.adjustment, data.design.outcome_covariates
        )
        self.weights = lru_cache(self._weights)

    @cached_property
    def patients(self) -> pd.DataFrame:
        """Their rows with the covariates, which score and weights follow."""
        return self.cases.rows[list(dict.fromkeys(["patient_id", "arm", "follow_up_days", *self.cases.columns]))]

    @property
    def treatment_formula(self) -> str:
        """Right-hand side of the score."""
        return self.cases.formula_of(self.design.adjustment)

    @property
    def outcome_formula(self) -> str:
        """Right-hand side of the covariates of outcome models."""
        return self.cases.formula_of(self.design.outcome_covariates)

    @cached_property
    def score(self) -> PropensityFit:
        """The score of the design's adjustment set."""
        return fit_propensity(self.patients, self.treatment_formula, treatment_col="arm", treated=self.arms["treated"])

    @cached_property
    def pairs(self) -> Matching:
        """Pairs of the treated with the nearest of the others on the logit of the score, within a caliper."""
        return self.score.match("nearest", estimand="ATT", caliper=_CALIPER)

    def _weights(self, estimand: Estimand) -> EstimatedWeights:
        return self.score.estimated_weights(estimand)
