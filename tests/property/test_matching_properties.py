"""Protects the matching kernels: greedy by its definition, optimal and full against general solvers."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import linear_sum_assignment, linprog

from analyses.kernels.nearest_matches import BoolArray, IntArray, Links, nearest_links, on_grid
from analyses.kernels.optimal_matches import full_links, optimal_links

Sample = tuple[IntArray, BoolArray]


@st.composite
def samples(draw: st.DrawFn, most: int = 14) -> Sample:
    """Sorted levels, often tied, of at least one focal and one other unit."""
    size = draw(st.integers(2, most))
    top = draw(st.sampled_from([0, 2, 8, 60]))
    levels = np.sort(np.array(draw(st.lists(st.integers(0, top), min_size=size, max_size=size)), dtype=np.int64))
    flags = draw(st.lists(st.booleans(), min_size=size, max_size=size).filter(lambda drawn: len(set(drawn)) == 2))
    return levels * 100, np.array(flags)


def total(links: Links, levels: IntArray) -> int:
    return int(np.abs(levels[links.focal] - levels[links.other]).sum())


def greedy(levels: IntArray, focal: BoolArray, turns: list[int], ratio: int, replace: bool, caliper: float) -> list:
    """The definition, in quadratic time: nearest by distance, lower side first, then nearest in the order given."""
    free = set(np.flatnonzero(~focal).tolist())
    made: list[tuple[int, int]] = []
    for turn in range(ratio):
        for own in turns:
            if sum(first == own for first, _ in made) < turn:
                continue
            there = free - {other for first, other in made if first == own} if replace else free
            ranked = sorted(there, key=lambda o: (abs(levels[o] - levels[own]), o > own, abs(o - own)))
            if ranked and abs(levels[ranked[0]] - levels[own]) <= caliper:
                made.append((own, ranked[0]))
                if not replace:
                    free.remove(ranked[0])
    return made


@settings(max_examples=150, deadline=None)
@given(samples(), st.integers(1, 3), st.booleans(), st.sampled_from([0, 100, 300, np.inf]), st.randoms())
def test_nearest_is_greedy_by_definition(
    sample: Sample, ratio: int, replace: bool, caliper: float, shuffler: object
) -> None:
    levels, focal = sample
    turns = np.flatnonzero(focal).tolist()
    shuffler.shuffle(turns)  # type: ignore[attr-defined]
    found = nearest_links(levels, focal, np.array(turns), ratio=ratio, replace=replace, caliper=caliper)
    ours = list(zip(found.focal.tolist(), found.other.tolist(), strict=True))
    theirs = greedy(levels, focal, turns, ratio, replace, caliper)
    assert sorted(ours) == sorted(theirs)


@settings(max_examples=150, deadline=None)
@given(samples(), st.integers(1, 3))
def test_optimal_pairs_have_the_total_of_the_assignment_problem(sample: Sample, ratio: int) -> None:
    levels, focal = sample
    if (~focal).sum() < ratio * focal.sum():
        focal = ~focal
    if (~focal).sum() < ratio * focal.sum():
        return
    found = optimal_links(levels, focal, ratio=ratio)
    apart = np.repeat(np.abs(levels[focal][:, None] - levels[~focal]), ratio, axis=0)
    assert total(found, levels) == apart[linear_sum_assignment(apart)].sum()
    assert len(set(found.other.tolist())) == len(found.other)
    assert np.array_equal(np.bincount(found.focal, minlength=len(focal)), ratio * focal)
    assert not focal[found.other].any()


@settings(max_examples=80, deadline=None)
@given(samples(10))
def test_full_matching_has_the_total_of_the_linear_programme(sample: Sample) -> None:
    levels, focal = sample
    found = full_links(levels, focal)
    apart = np.abs(levels[focal][:, None] - levels[~focal])
    rows, columns = np.indices(apart.shape)
    covers = [rows.ravel() == i for i in range(apart.shape[0])] + [columns.ravel() == j for j in range(apart.shape[1])]
    least = linprog(apart.ravel(), A_ub=-np.array(covers, dtype=float), b_ub=-np.ones(len(covers))).fun
    assert total(found, levels) == pytest.approx(least, abs=1e-6)
    assert focal[found.focal].all()
    assert not focal[found.other].any()
    assert set(found.focal.tolist()) | set(found.other.tolist()) == set(range(len(levels)))
    # subclasses are stars: a link has at most one end with another link
    degree = np.bincount(np.concatenate([found.focal, found.other]))
    assert (np.minimum(degree[found.focal], degree[found.other]) == 1).all()


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=30), st.integers(0, 10**6))
def test_the_grid_keeps_order_and_distances_and_ignores_the_last_bits(values: list[float], seed: int) -> None:
    exact = np.array(values)
    grid = on_grid(exact)
    order = np.argsort(exact, kind="stable")
    assert (np.diff(grid.levels[order]) >= 0).all()
    apart = np.abs(np.diff(exact[order]) - np.diff(grid.levels[order]) * grid.step)
    assert (apart <= (len(values) + 2) * grid.step).all()
    if np.ptp(exact) > 1:
        twice = np.concatenate([exact, exact + 1e-14 * np.random.default_rng(seed).uniform(-1, 1)])
        levels = on_grid(twice).levels
        assert np.array_equal(levels[: len(exact)], levels[len(exact) :])
