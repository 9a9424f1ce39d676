"""Protects agreement of linear mixed models with statsmodels' MixedLM, as far as its optimiser goes."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import fit_mixed


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("random", ["1", "1 + t"])
def test_the_maximum_is_that_of_another_implementation(random: str, reml: bool) -> None:
    """Never below its likelihood, and above by no more than its stopping rule leaves."""
    import statsmodels.api as sm

    rng = np.random.default_rng(1)
    subject = np.repeat(np.arange(60), 5)
    data = pd.DataFrame({"id": subject, "t": rng.uniform(0, 3, 300), "arm": subject % 2})
    data["y"] = data["arm"] + rng.normal(size=60)[subject] + rng.normal(1, 0.7, 60)[subject] * data["t"]
    data["y"] += rng.normal(size=300)
    ours = fit_mixed(data, "y ~ arm * t", subject_col="id", random=random, reml=reml)
    fixed = np.column_stack([np.ones(300), data["arm"], data["t"], data["arm"] * data["t"]])
    effects = np.ones((300, 1)) if random == "1" else np.column_stack([np.ones(300), data["t"]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = sm.MixedLM(data["y"], fixed, groups=subject, exog_re=effects).fit(reml=reml)
    assert -1e-9 < ours.log_likelihood - theirs.llf < 1e-5
    np.testing.assert_allclose(ours.coefficients, theirs.fe_params, rtol=1e-3)
    np.testing.assert_allclose(ours.random_covariance, theirs.cov_re, rtol=1e-2)
    np.testing.assert_allclose(ours.residual_variance, theirs.scale, rtol=1e-3)
