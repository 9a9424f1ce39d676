"""Protects agreement with lifelines on cumulative incidence where it is right: distinct times, default index."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analyses.survival import cumulative_incidence


@pytest.mark.parametrize("weighted", [False, True])
def test_aalen_johansen_without_ties(weighted: bool) -> None:
    from lifelines import AalenJohansenFitter

    rng = np.random.default_rng(4)
    data = pd.DataFrame({"t": rng.permutation(200) + 1.0, "d": rng.integers(0, 3, 200), "w": rng.integers(1, 4, 200)})
    weights = "w" if weighted else None
    rows = cumulative_incidence(data, duration_col="t", event_col="d", weights_col=weights).frame
    for cause in (1, 2):
        fitter = AalenJohansenFitter(calculate_variance=False)
        fitter.fit(data["t"], data["d"], event_of_interest=cause, weights=data["w"] if weighted else None)
        theirs = fitter.cumulative_density_.iloc[:, 0]
        ours = rows[rows["term"] == str(cause)]
        np.testing.assert_array_equal(ours["time"], theirs.index)
        np.testing.assert_allclose(ours["estimate"], theirs, rtol=1e-10, atol=1e-12)
