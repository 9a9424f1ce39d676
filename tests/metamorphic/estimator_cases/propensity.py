"""Cases of analyses.propensity."""

from __future__ import annotations

import numpy as np
import pandas as pd
from estimator_cases.case import Case, Exempt, Output

from analyses.propensity import (
    EstimatedWeights,
    PropensityFit,
    Trimming,
    covariate_balance,
    fit_propensity,
    overlap_histogram,
    overlap_table,
    positivity_table,
    trim_asymmetric,
    trim_crump,
    trim_symmetric,
    weight_table,
)

ARM = {"treatment_col": "arm", "treated": "b"}
NO_WEIGHTS = Exempt("it takes no weights")


def fitted(data: pd.DataFrame, **options: object) -> PropensityFit:
    return fit_propensity(data, "x + age + kind", **ARM, **options)


def propensity(data: pd.DataFrame) -> Output:
    fit = fitted(data)
    own = fit.estimated_weights("ATE")
    return {
        "tidy": fit.tidy(),
        "glance": fit.glance(),
        "weights": fit.weights("ATE", stabilized=True),
        "weights: entropy tilt": fit.weights("ATEN"),
        "weights: truncated": fit.weights(truncate=0.05),
        "estimated_weights": own.values,
        "for_rows": own.for_rows(np.arange(len(data))).values,
        "balance": fit.balance(),
        "balance: every measure": fit.balance(measures=("mean", "smd", "variance_ratio", "ks", "overlap")),
        "effective_sample_size": fit.effective_sample_size(),
        "match": fit.match("full", estimand="ATE").tidy(),
        "subclassify": fit.subclassify().tidy(),
    }


def solved(data: pd.DataFrame, method: str, **options: object) -> Output:
    fit = fitted(data, method=method, **options)
    return {"tidy": fit.tidy(), "glance": fit.glance(), "weights": fit.weights(), "balance": fit.balance()}


def diagnostics(data: pd.DataFrame) -> Output:
    fit = fitted(data)
    return {
        "overlap": overlap_table(fit),
        "histogram": overlap_histogram(fit, fit.weights()),
        "weights": weight_table(fit, fit.weights()),
        "symmetric": trim_symmetric(fit, 0.2).table,
        "asymmetric": trim_asymmetric(fit).table,
        "crump": trim_crump(fit).table,
    }


SHARED = {"relative": 1e-8, "half_weights": NO_WEIGHTS, "refuses": ("empty", "one_arm", "one_row")}

CASES = (
    Case(
        "fit_propensity",
        lambda d, _: propensity(d),
        of=(fit_propensity, PropensityFit, EstimatedWeights),
        half_weights=NO_WEIGHTS,
        relative=1e-9,
        refuses=("empty", "one_arm", "one_row"),
    ),
    Case("entropy balancing", lambda d, _: solved(d, "entropy"), of=(), **SHARED),
    Case("cbps", lambda d, _: solved(d, "cbps"), of=(), **SHARED),
    Case("cbps, over-identified", lambda d, _: solved(d, "cbps", overidentified=True), of=(), **SHARED),
    Case(
        "overlap and trimming",
        lambda d, _: diagnostics(d),
        of=(overlap_table, overlap_histogram, weight_table, Trimming, trim_symmetric, trim_asymmetric, trim_crump),
        swapped_arms=Exempt("scores of the other arm are one minus those of this one"),
        **SHARED,
    ),
    Case(
        "positivity_table",
        lambda d, _: positivity_table(d, ["x", "kind"], **ARM),
        of=(positivity_table,),
        swapped_arms=Exempt("the share treated becomes one minus itself, on rows of the arm named"),
        **SHARED,
    ),
    Case(
        "covariate_balance",
        lambda d, _: covariate_balance(d, ["x", "kind"], **ARM, weights=d["w"]),
        of=(covariate_balance,),
        half_weights=Exempt("sample variances and bandwidths count rows"),
        refuses=("empty", "one_arm", "one_row"),
    ),
)
