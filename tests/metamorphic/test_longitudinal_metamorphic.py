"""Protects what must not matter to marginal models: order, labels, index, types, scale of weights, side."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from analyses.longitudinal import fit_gee, fit_ordinal
from cohort.results import ResultTable

STRUCTURES = ["independence", "exchangeable", "ar1", "unstructured"]


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    rng = np.random.default_rng(12)
    seen = rng.random((40, 4)) < 0.75
    seen[~seen.any(axis=1), 1] = True
    subject, visit = np.nonzero(seen)
    eta = rng.normal(size=40)[subject] + 0.4 * (subject % 2) + 0.2 * visit
    return pd.DataFrame(
        {
            "patient_id": [f"p{i:02d}" for i in subject],
            "arm": np.where(subject % 2, "b", "a"),
            "month": np.array([6, 12, 24, 36])[visit],
            "age": rng.normal(40, 9, 40)[subject],
            "w": rng.uniform(0.5, 2, len(subject)),
            "y": (rng.random(len(subject)) < 1 / (1 + np.exp(-eta))).astype(int),
            "response": np.array(["NR", "PR", "CR"])[np.digitize(eta + rng.logistic(size=len(subject)), [-0.3, 0.9])],
        }
    )


def estimates(table: ResultTable) -> np.ndarray:
    return table.frame[["estimate", "std_error"]].to_numpy()


def every_table(data: pd.DataFrame, structure: str, variance: str) -> np.ndarray:
    if structure == "ordinal":
        fit = fit_ordinal(data, "response ~ arm + C(month) + age", subject_col="patient_id", weights_col="w")
        curves = fit.marginal_probabilities(data, by="arm", time_col="month", reference="a")
        return np.vstack([estimates(fit.tidy()), estimates(curves), estimates(fit.test_proportional_odds())])
    gee = fit_gee(
        data, "y ~ arm + C(month) + age", subject_col="patient_id", time_col="month", correlation=structure,
        weights_col="w", variance=variance,
    )  # fmt: skip
    assert gee.note == ""
    curves = gee.marginal_response(data, by="arm", time_col="month", reference="a")
    return np.vstack([estimates(gee.tidy()), estimates(gee.correlations()), estimates(curves)])


UNCHANGED: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "row order": lambda data: data.sample(frac=1, random_state=2),
    "patient labels": lambda data: data.assign(patient_id="x" + data["patient_id"].str[::-1]),
    "numbered patients": lambda data: data.assign(patient_id=-data["patient_id"].str[1:].astype(int)),
    "index": lambda data: data.set_index(pd.Index(np.full(len(data), 7))),
    "nullable types": lambda data: data.convert_dtypes(),
    "Arrow types": lambda data: data.convert_dtypes(dtype_backend="pyarrow"),
    "categories": lambda data: data.astype({"patient_id": "category", "arm": "category"}),
    "boolean outcome": lambda data: data.assign(y=data["y"] == 1),
}


@pytest.mark.parametrize("structure", [*STRUCTURES, "ordinal"])
@pytest.mark.parametrize("change", UNCHANGED)
def test_what_does_not_matter(visits: pd.DataFrame, structure: str, change: str) -> None:
    changed = UNCHANGED[change](visits)
    before = changed.copy()
    expected = every_table(visits, structure, "mancl_derouen")
    np.testing.assert_allclose(every_table(changed, structure, "mancl_derouen"), expected, rtol=1e-7, atol=1e-9)
    pd.testing.assert_frame_equal(changed, before)


@pytest.mark.parametrize("structure", [*STRUCTURES, "ordinal"])
def test_the_size_of_weights_does_not_matter(visits: pd.DataFrame, structure: str) -> None:
    larger = visits.assign(w=visits["w"] * 50)
    expected = every_table(visits, structure, "kauermann_carroll")
    np.testing.assert_allclose(every_table(larger, structure, "kauermann_carroll"), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("structure", [*STRUCTURES, "ordinal"])
def test_swapping_arms_inverts_the_ratio(visits: pd.DataFrame, structure: str) -> None:
    swapped = visits.assign(arm=visits["arm"].map({"a": "b", "b": "a"}))

    def ratio(data: pd.DataFrame) -> float:
        if structure == "ordinal":
            fit = fit_ordinal(data, "response ~ arm + C(month)", subject_col="patient_id").tidy(exponentiate=True)
        else:
            fit = fit_gee(
                data, "y ~ arm + C(month)", subject_col="patient_id", time_col="month", correlation=structure
            ).tidy(exponentiate=True)
        return float(fit.frame.set_index("term").loc["arm=b", "estimate"])

    assert ratio(swapped) == pytest.approx(1 / ratio(visits), rel=1e-8)


@pytest.mark.parametrize("structure", [*STRUCTURES, "ordinal"])
def test_every_subject_twice_halves_the_variance(visits: pd.DataFrame, structure: str) -> None:
    twice = pd.concat([visits, visits.assign(patient_id=visits["patient_id"] + "again")])
    once, double = (every_table(data, structure, "robust") for data in (visits, twice))
    kept = np.isfinite(once[:, 1])
    np.testing.assert_allclose(double[kept, 0], once[kept, 0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(double[kept, 1] ** 2, once[kept, 1] ** 2 / 2, rtol=1e-7)


def test_the_same_input_gives_the_same_bytes(visits: pd.DataFrame) -> None:
    for structure in [*STRUCTURES, "ordinal"]:
        first, second = (every_table(visits, structure, "mancl_derouen") for _ in range(2))
        assert first.tobytes() == second.tobytes()
