"""Everything that adjusts by a propensity score, made once: scores, weights, matched sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast, get_args

import numpy as np

from analyses.columns import FloatArray
from analyses.datasets import AnalysisData
from analyses.plan.attempts import reference_arm
from analyses.plan.labels import with_treated
from analyses.varying_covariates import Covariates, varying_covariates
from cohort.errors import AnalysisError

if TYPE_CHECKING:
    from analyses.propensity import Matching, PropensityFit
    from analyses.propensity.fitting import Method
    from analyses.propensity.matching import MatchedEstimand
    from analyses.propensity.weights import Estimand

CALIPER = 0.2
"""Standard deviations of the log odds of the score within which pairs are matched (doi:10.1002/pst.433)."""

SUBCLASSES = 5
"""As many as remove nine tenths of the bias of one covariate (doi:10.2307/2528036)."""

LOGISTIC = "logistic score"
OTHER_SCORES: Mapping[str, Method] = {
    "ridge score": "penalised",
    "boosted score": "boosting",
    "CBPS": "cbps",
    "entropy balancing": "entropy",
}
"""Ways to weights beside the logistic score, by the name that tables give them; cross-fitting makes scores of learners
that did not see the patient."""

PAIRS, FULL, STRATA = "matched pairs", "full matching", "score subclasses"

Fitted = TypeVar("Fitted")


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Patients with every covariate, their score, and what is made from it.

    Attributes
    ----------
    covariates
        Patients, and the covariates of the score and of outcome models that vary.
    fit
        The logistic score.
    others
        Other ways to weights, or why one is not possible, by name.
    matchings
        Matched and subclassified sets, or why one is not possible, by name.
    estimand
        Whose effect the design asks for.
    """

    covariates: Covariates
    fit: PropensityFit
    others: Mapping[str, PropensityFit | AnalysisError]
    matchings: Mapping[str, Matching | AnalysisError]
    estimand: Estimand

    @property
    def scores(self) -> dict[str, PropensityFit | AnalysisError]:
        """The logistic score and the other ways to weights."""
        return {LOGISTIC: self.fit, **self.others}

    @property
    def weightings(self) -> Iterator[tuple[str, str, FloatArray]]:
        """Name, estimand and weights of everything that could be made, the design's own first."""
        own = self.estimand
        yield LOGISTIC, own, self.fit.weights(own)
        for name, other in self.others.items():
            if not isinstance(other, AnalysisError):
                yield name, own, other.weights(own)
        for name, matching in self.matchings.items():
            if not isinstance(matching, AnalysisError):
                yield name, matching.estimand, matching.weights

    def scaled_weights(self) -> FloatArray:
        """Weights of the design's estimand, made to add up to the number of patients of each arm."""
        weights = self.fit.weights(self.estimand)
        sizes = np.where(self.fit.treated, weights[self.fit.treated].mean(), weights[~self.fit.treated].mean())
        return np.asarray(weights / sizes)


def score_patients(data: AnalysisData) -> Scored:
    """Fit the scores of the design and match on the logistic one.

    Raises
    ------
    AnalysisError
        One arm, nobody with every covariate, or a logistic score without finite coefficients.
    """
    from analyses.propensity import fit_propensity
    from analyses.propensity.matching import MatchedEstimand
    from analyses.propensity.solved_weights import SOLVED_ESTIMANDS

    reference_arm(data)
    covariates = varying_covariates(with_treated(data), data.design.adjustment, data.design.outcome_covariates)
    formula = covariates.formula_of(data.design.adjustment)
    own: Estimand = data.design.estimand.value
    columns = {"treatment_col": "arm", "treated": data.treated}
    fit = fit_propensity(covariates.rows, formula, **columns)  # type: ignore[arg-type]

    def other(method: Method) -> PropensityFit:
        if method not in ("cbps", "entropy"):
            return fit_propensity(covariates.rows, formula, method=method, **columns)  # type: ignore[arg-type]
        if own not in SOLVED_ESTIMANDS:
            raise AnalysisError("no weights for this estimand", where=method, got=own)
        return fit_propensity(covariates.rows, formula, method=method, estimand=own, **columns)  # type: ignore[arg-type]

    focal: MatchedEstimand = "ATC" if own == "ATC" else "ATT"
    whole = cast("MatchedEstimand", own if own in get_args(MatchedEstimand) else "ATE")
    return Scored(
        covariates,
        fit,
        {name: _or_reason(lambda method=method: other(method)) for name, method in OTHER_SCORES.items()},  # type: ignore[misc]
        {
            PAIRS: _or_reason(lambda: fit.match("nearest", estimand=focal, caliper=CALIPER)),
            FULL: _or_reason(lambda: fit.match("full", estimand=whole)),
            STRATA: _or_reason(lambda: fit.subclassify(SUBCLASSES, estimand=whole)),
        },
        own,
    )


def _or_reason(make: Callable[[], Fitted]) -> Fitted | AnalysisError:
    try:
        return make()
    except AnalysisError as error:
        return error
