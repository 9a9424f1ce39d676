"""One cohort of a simulation study, as arrays: what methods are given and how its propensity score is fitted."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd
from scipy.special import logit

from analyses.columns import BoolArray, FloatArray
from analyses.kernels.logistic import collinear_columns, fit_logistic, separated_columns
from analyses.propensity import EstimatedWeights, Matching, match_patients
from analyses.propensity.weights import Estimand, balancing_weights
from cohort.codes import Sex
from cohort.errors import AnalysisError


class World(StrEnum):
    """Which outcomes a cohort has."""

    EFFECT = "effect"
    """Those of the arm each patient is in."""
    NULL = "null"
    """Those of the reference arm for everybody: treatment has no effect on anyone."""


class Adjustment(StrEnum):
    """Which covariates a method is given."""

    NONE = "none"
    MEASURED = "measured"
    ORACLE = "oracle"
    """The measured ones and the latent severity, which no registry records."""


MEASURED: tuple[str, ...] = (
    "age_years", "sex", "sle_duration_years", "class_v", "activity_index", "chronicity_index", "hypertension",
    "refractory", "log_upcr", "log_creatinine", "albumin_g_dl",
)  # fmt: skip
"""The adjustment set of the carried design for observational studies, without the calendar year."""
ORACLE_SEVERITY = "oracle_latent_severity"
COVARIATES: dict[Adjustment, tuple[str, ...]] = {
    Adjustment.NONE: (),
    Adjustment.MEASURED: MEASURED,
    Adjustment.ORACLE: (*MEASURED, ORACLE_SEVERITY),
}
COLUMNS: tuple[str, ...] = (
    "replicate", "patient_id", "treated", *COVARIATES[Adjustment.ORACLE], "assessed",
    "responded", "years", "event", "null_responded", "null_years", "null_event",
)  # fmt: skip
"""What a cohort must hold; ``null_`` marks outcomes in the null world. Nobody but the sampler knows
``oracle_latent_severity``."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """Outcomes of ``n`` patients in one world, each of shape ``(n,)``; ``responded`` is looked at where assessed."""

    responded: FloatArray
    years: FloatArray
    event: BoolArray


CALIPER = 0.2
"""Of pairs, in standard deviations of the logit of the score (doi:10.1002/pst.433)."""


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """A fitted propensity score, shape ``(n,)``, the covariance of its coefficients and its design ``(n, q)``."""

    score: FloatArray
    covariance: FloatArray
    design: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One cohort of ``n`` patients.

    Parameters
    ----------
    treated, assessed
        Shape ``(n,)``.
    covariates
        Shape ``(n, p)``, those of :attr:`Adjustment.ORACLE` in order, categories as zeros and ones.
    outcomes
        By world.
    horizon_years
        Where event-free survival ends.
    """

    treated: BoolArray
    assessed: BoolArray
    covariates: FloatArray
    outcomes: dict[World, Outcomes]
    horizon_years: float
    _scores: dict[Adjustment, Score] = field(default_factory=dict, repr=False)
    _matchings: dict[Adjustment, Matching] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, patients: pd.DataFrame, horizon_years: float) -> Sample:
        """Take the columns :data:`COLUMNS` of one cohort, one row per patient."""
        named = COVARIATES[Adjustment.ORACLE]
        columns = [patients[name] == Sex.MALE.value if name == "sex" else patients[name] for name in named]
        outcomes = {
            world: Outcomes(
                patients[f"{prefix}responded"].to_numpy(dtype=np.float64),
                patients[f"{prefix}years"].to_numpy(dtype=np.float64),
                patients[f"{prefix}event"].to_numpy(dtype=bool),
            )
            for world, prefix in ((World.EFFECT, ""), (World.NULL, "null_"))
        }
        return cls(
            patients["treated"].to_numpy(dtype=bool),
            patients["assessed"].to_numpy(dtype=bool),
            np.column_stack([column.to_numpy(dtype=np.float64) for column in columns]),
            outcomes,
            horizon_years,
        )

    def design(self, adjustment: Adjustment) -> FloatArray:
        """Return the covariates of an adjustment, shape ``(n, q)``."""
        return self.covariates[:, : len(COVARIATES[adjustment])]

    def score(self, adjustment: Adjustment) -> Score:
        """Return the logistic propensity score of all patients, fitted once.

        Raises
        ------
        AnalysisError
            Naming the covariates that are constant, combinations of others, or separate the arms.
        """
        if adjustment not in self._scores:
            design = np.column_stack([np.ones(len(self.treated)), self.design(adjustment)])
            self._scores[adjustment] = _fitted_score(design, self.treated, ("Intercept", *COVARIATES[adjustment]))
        return self._scores[adjustment]

    def weights(self, adjustment: Adjustment, population: Estimand) -> EstimatedWeights:
        """Return the weights of the score, as :meth:`analyses.propensity.PropensityFit.estimated_weights` does.

        Raises
        ------
        AnalysisError
            As :meth:`score`.
        """
        fit = self.score(adjustment)
        weights = balancing_weights(fit.score, self.treated, estimand=population)
        return EstimatedWeights(
            values=weights.values,
            gradient=(weights.slope * fit.score * (1 - fit.score))[:, None] * fit.design,
            influence=(fit.design * (self.treated - fit.score)[:, None]) @ fit.covariance,
            patient=np.arange(len(fit.score)),
            description=f"{population} weights",
        )

    def matching(self, adjustment: Adjustment) -> Matching:
        """Return pairs by nearest neighbours on the logit of the score within :data:`CALIPER`, made once.

        Raises
        ------
        AnalysisError
            As :meth:`score`, and if nobody is matched.
        """
        if adjustment not in self._matchings:
            patients = pd.DataFrame({"patient_id": np.arange(len(self.treated)), "treated": self.treated})
            self._matchings[adjustment] = match_patients(
                patients,
                treatment_col="treated",
                treated=True,
                distance=logit(self.score(adjustment).score),
                caliper=CALIPER,
            )
        return self._matchings[adjustment]


def _fitted_score(design: FloatArray, treated: BoolArray, terms: tuple[str, ...]) -> Score:
    if treated.all() or not treated.any():
        raise AnalysisError("a single arm", where="propensity score", got=f"{len(treated)} patients")
    collinear = collinear_columns(design)
    if collinear:
        raise AnalysisError(
            "constant or a combination of the other terms",
            where="propensity score",
            got=", ".join(terms[index] for index in collinear),
        )
    fit = fit_logistic(design, treated.astype(np.float64))
    if not fit.converged:
        separated = separated_columns(design, ~treated, treated)
        raise AnalysisError(
            "the covariates separate the arms, so the score has no finite estimate",
            where="propensity score",
            got=", ".join(terms[index] for index in separated) or "fitted probabilities of 0 or 1",
        )
    return Score(fit.probability, fit.covariance, design)
