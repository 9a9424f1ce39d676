"""Protects the vectorised estimating equations and sandwiches against plain loops over subjects, and statsmodels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from analyses.kernels import cumulative_logit, gee
from analyses.kernels.cumulative_logit import fit_cumulative_logit
from analyses.kernels.gee import GeeStatus, gee_problem, solve_gee
from analyses.kernels.gee_variance import gee_variance

STRUCTURES = ["independence", "exchangeable", "ar1", "unstructured"]
FAMILIES = ["binomial", "gaussian", "poisson"]
VARIANCES = ["robust", "mancl_derouen", "kauermann_carroll", "model"]


def drawn(seed: int, family: str) -> dict[str, np.ndarray]:
    """Draw 30 subjects of 1 to 4 of four visits, rows in random order."""
    rng = np.random.default_rng(seed)
    seen = rng.random((30, 4)) < 0.7
    seen[~seen.any(axis=1), 0] = True
    subject, visit = np.nonzero(seen)
    order = rng.permutation(len(subject))
    subject, visit = subject[order], visit[order]
    design = np.column_stack([np.ones(len(subject)), rng.normal(size=30)[subject], visit + rng.normal(size=len(visit))])
    eta = design @ [0.2, 0.3, -0.1] + rng.normal(size=30)[subject] * 0.7
    outcome = {
        "binomial": lambda: (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))).astype(float),
        "gaussian": lambda: eta + rng.normal(size=len(eta)),
        "poisson": lambda: rng.poisson(np.exp(eta)).astype(float),
    }[family]()
    return {
        "design": design,
        "outcome": outcome,
        "cluster": subject,
        "position": visit,
        "weights": rng.uniform(0.5, 2, len(eta)),
        "offset": rng.normal(size=len(eta)) * 0.2,
    }


def looped(
    data: dict[str, np.ndarray], family: str, structure: str, beta: np.ndarray, alpha: np.ndarray
) -> dict[str, np.ndarray]:
    """Evaluate estimating equations, moments and every variance by explicit matrices, one subject at a time."""
    design, y, w = data["design"], data["outcome"], data["weights"]
    eta = design @ beta + data["offset"]
    mean = {"binomial": 1 / (1 + np.exp(-eta)), "gaussian": eta, "poisson": np.exp(eta)}[family]
    v = {"binomial": mean * (1 - mean), "gaussian": np.ones_like(eta), "poisson": mean}[family]
    pearson = (y - mean) / np.sqrt(v)
    scale = np.sum(w * pearson**2) / np.sum(w)
    r = pearson / np.sqrt(scale)
    visits = int(data["position"].max()) + 1
    pairs = [(j, k) for j in range(visits) for k in range(j + 1, visits)]

    def correlation(j: int, k: int) -> float:
        if j == k:
            return 1.0
        if structure == "independence":
            return 0.0
        if structure == "exchangeable":
            return float(alpha[0])
        return float(alpha[0] ** abs(j - k) if structure == "ar1" else alpha[pairs.index((min(j, k), max(j, k)))])

    information, scores, parts = np.zeros((3, 3)), [], []
    moments = np.zeros((len(alpha), 2))
    for i in np.unique(data["cluster"]):
        rows = np.flatnonzero(data["cluster"] == i)
        at = data["position"][rows]
        big = np.diag(np.sqrt(v[rows] / w[rows]))
        R = np.array([[correlation(j, k) for k in at] for j in at])
        V = scale * big @ R @ big
        D = design[rows] * v[rows][:, None]
        information += D.T @ np.linalg.solve(V, D)
        parts.append((D, V, y[rows] - mean[rows]))
        for a in range(len(rows)):
            for b in range(a):
                weight, product = w[rows[a]] * w[rows[b]], r[rows[a]] * r[rows[b]]
                gap = abs(at[a] - at[b])
                if structure == "exchangeable":
                    moments[0] += weight * np.array([product - alpha[0], 1.0])
                elif structure == "ar1":
                    moments[0] += weight * gap * alpha[0] ** (gap - 1) * np.array([product - alpha[0] ** gap, 1.0])
                elif structure == "unstructured":
                    place = pairs.index((min(at[a], at[b]), max(at[a], at[b])))
                    moments[place] += weight * np.array([product - alpha[place], 1.0])
    bread = np.linalg.inv(information)
    out = {"equations": sum(D.T @ np.linalg.solve(V, e) for D, V, e in parts), "moments": moments[:, 0], "model": bread}
    for name, power in (("robust", 0.0), ("mancl_derouen", 1.0), ("kauermann_carroll", 0.5)):
        scores = []
        for D, V, e in parts:
            left = np.eye(len(e)) - D @ bread @ D.T @ np.linalg.inv(V)
            factor = {0.0: np.eye(len(e)), 1.0: np.linalg.inv(left), 0.5: np.linalg.inv(np.real(sqrtm(left)))}[power]
            scores.append(D.T @ np.linalg.solve(V, factor @ e))
        out[name] = bread @ np.array(scores).T @ np.array(scores) @ bread
    return out


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_solution_and_variances_are_those_of_plain_loops(family: str, structure: str, seed: int) -> None:
    data = drawn(seed, family)
    problem = gee_problem(**data, family=family, correlation=structure)
    solution = solve_gee(problem)
    assume(solution.status is GeeStatus.ESTIMATED)  # thirty subjects may give impossible moments
    loops = looped(data, family, structure, solution.coefficients, solution.correlation)
    unit = np.sqrt(np.diag(np.linalg.inv(loops["model"])))
    np.testing.assert_allclose(loops["equations"] / unit, 0.0, atol=1e-8)
    np.testing.assert_allclose(np.nan_to_num(loops["moments"]), 0.0, atol=1e-8)
    for variance in VARIANCES:
        np.testing.assert_allclose(gee_variance(problem, solution, variance), loops[variance], rtol=1e-7, atol=1e-12)


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    from analyses.kernels import gee_variance as module

    problem = gee_problem(**drawn(1, "binomial"), family="binomial", correlation="exchangeable")
    solution = solve_gee(problem)
    whole = gee_variance(problem, solution, "mancl_derouen")
    monkeypatch.setattr(module, "_BLOCK", 30)
    np.testing.assert_allclose(gee_variance(problem, solution, "mancl_derouen"), whole, rtol=1e-12)


@pytest.mark.parametrize("structure", ["independence", "exchangeable"])
@pytest.mark.parametrize("family", FAMILIES)
def test_mancl_derouen_is_bias_reduced_of_statsmodels(family: str, structure: str) -> None:
    """statsmodels is handed our scale-free correlation and held there, since its own moments divide otherwise."""
    import statsmodels.api as sm

    data = drawn(5, family)
    problem = gee_problem(**{**data, "weights": None}, family=family, correlation=structure)
    solution = solve_gee(problem)
    assert solution.status is GeeStatus.ESTIMATED
    kind = {"independence": sm.cov_struct.Independence, "exchangeable": sm.cov_struct.Exchangeable}[structure]()
    if structure == "exchangeable":
        kind.dep_params = float(solution.correlation[0])
    families = {"binomial": sm.families.Binomial, "gaussian": sm.families.Gaussian, "poisson": sm.families.Poisson}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GEE(
            data["outcome"], data["design"], groups=data["cluster"], family=families[family](), cov_struct=kind,
            offset=data["offset"], update_dep=False,
        )  # fmt: skip
        result = model.fit(
            start_params=solution.coefficients, cov_type="bias_reduced", ddof_scale=0, ctol=1e-10, maxiter=200
        )
    np.testing.assert_allclose(result.params, solution.coefficients, rtol=1e-7)
    ours = gee_variance(problem, solution, "mancl_derouen")
    np.testing.assert_allclose(ours, result.cov_robust_bc, rtol=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), categories=st.integers(2, 5))
def test_cumulative_logit_has_zero_scores_and_the_curvature_of_its_likelihood(seed: int, categories: int) -> None:
    rng = np.random.default_rng(seed)
    design = np.column_stack([rng.normal(2010, 6, 80), rng.integers(0, 2, 80)]).astype(float)
    category = np.unique(rng.integers(0, categories, 80), return_inverse=True)[1]
    weights = rng.uniform(0.5, 2, 80)
    fit = fit_cumulative_logit(design, category, weights)
    assert fit.converged

    def log_likelihood(theta: np.ndarray) -> float:
        cuts = np.concatenate([[-np.inf], theta[:-2], [np.inf]])
        shift = (design - design.mean(axis=0)) @ theta[-2:]
        cumulative = [1 / (1 + np.exp(-(cuts[category + k] - shift))) for k in (1, 0)]
        return float(weights @ np.log(cumulative[0] - cumulative[1]))

    # The reference is parametrised about the means, where finite differences keep their digits.
    to_centred = np.eye(len(fit.information))
    to_centred[:-2, -2:] = -design.mean(axis=0)
    theta = to_centred @ np.concatenate([fit.thresholds, fit.coefficients])
    assert log_likelihood(theta) == pytest.approx(fit.log_likelihood, rel=1e-9)
    back = np.linalg.inv(to_centred)
    np.testing.assert_allclose(fit.scores.sum(axis=0) @ back, 0.0, atol=1e-7)
    step = np.array([1e-4] * (len(theta) - 2) + [1e-5, 1e-4])
    numerical = np.empty((len(theta), len(theta)))
    for a in range(len(theta)):
        for b in range(len(theta)):
            shifts = [(s, t) for s in (1, -1) for t in (1, -1)]
            values = [
                s
                * t
                * log_likelihood(
                    theta + s * step * (np.arange(len(theta)) == a) + t * step * (np.arange(len(theta)) == b)
                )
                for s, t in shifts
            ]
            numerical[a, b] = -sum(values) / (4 * step[a] * step[b])
    np.testing.assert_allclose(
        back.T @ fit.information @ back, numerical, rtol=2e-3, atol=2e-3 * np.abs(numerical).max()
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_covariate_far_from_zero_keeps_its_digits(family: str) -> None:
    """A day number beside an intercept leaves a share of 1e-6 of its length to estimate a slope from."""
    data = {**drawn(3, family), "weights": None}
    near = solve_gee(gee_problem(**data, family=family, correlation="exchangeable"))
    shifted = data["design"] + [0.0, 1e6, 0.0]
    far = solve_gee(gee_problem(**{**data, "design": shifted}, family=family, correlation="exchangeable"))
    assert far.status is GeeStatus.ESTIMATED
    np.testing.assert_allclose(far.coefficients[1:], near.coefficients[1:], rtol=1e-8)
    np.testing.assert_allclose(far.fitted, near.fitted, rtol=1e-8)


def test_information_that_vanishes_is_no_convergence(monkeypatch: pytest.MonkeyPatch) -> None:
    def singular(*_: object) -> np.ndarray:
        raise np.linalg.LinAlgError

    data = drawn(2, "binomial")
    problem = gee_problem(**data, family="binomial", correlation="independence")
    first = np.zeros(3)
    monkeypatch.setattr(gee, "_first_coefficients", lambda _: first)
    monkeypatch.setattr(np.linalg, "solve", singular)
    assert solve_gee(problem).status is GeeStatus.NOT_CONVERGED


def test_steps_that_overshoot_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A covariate with outliers and a coefficient near zero: the plain step lowers the likelihood once or twice."""
    rng = np.random.default_rng(49)
    covariate = rng.standard_cauchy(size=60)
    latent = rng.logistic(size=60)
    category = np.digitize(latent, np.quantile(latent, [0.03, 0.9]))
    calls = []
    evaluate = cumulative_logit._evaluate
    monkeypatch.setattr(cumulative_logit, "_evaluate", lambda *given: calls.append(1) or evaluate(*given))
    fit = fit_cumulative_logit(covariate[:, None], category, np.ones(60))
    assert fit.converged
    assert len(calls) > fit.iterations + 1
