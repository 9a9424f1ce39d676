"""Protects docs/validity.md: it shows what the record holds, the record is complete, and the gated numbers pass."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom, chi2
from validity.cohorts import RATES, arms
from validity.document import bounds, gates, passes, tables
from validity.entries import ENTRIES
from validity.record import SIZES, Counts, read_record

from analyses.kernels.proportions import newcombe_difference, wilson_interval

DOCUMENT = Path(__file__).parents[2] / "docs" / "validity.md"
RECORD = read_record()


def test_the_document_shows_the_record() -> None:
    # Fails when the record or an entry has changed: run benchmarks/validity_document.py.
    assert tables() in DOCUMENT.read_text(encoding="utf-8")


def test_the_record_has_every_measure_at_every_size() -> None:
    # Fails for a new entry: run benchmarks/validity_document.py with its name.
    expected = {
        (entry.name, name, size): entry.replicates for entry in ENTRIES for name in entry.measures for size in SIZES
    }
    assert {(one.entry, one.measure, one.size): one.replicates for one in RECORD} == expected


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("entry", [entry.name for entry in ENTRIES])
def test_what_is_gated_has_its_nominal_size_and_coverage(entry: str, size: int) -> None:
    failing = [
        (one.measure, one.share) for one in RECORD if one.entry == entry and one.size == size and not passes(one)
    ]
    assert failing == []


def test_gates_close_on_what_is_wrong_and_only_on_that() -> None:
    """With g gates of two sides a count k of N closes when P(X <= k) or P(X >= k) is below 0.0001 / 2g."""
    low, high = bounds("both", 0.05, 4000)
    assert 100 < low < 200 < high < 300
    assert bounds("upper", 0.05, 4000)[0] == 0
    assert gates() > 20
    entry, hits = "two arms, no effect", {0.05: 10 * (1, 1, 1, 2), 0.09: 10 * (2, 2, 2, 3), 0.02: 10 * (0, 0, 1, 1)}
    assert {share: passes(Counts(entry, "log-rank", 179, tuple(4 * each), 0)) for share, each in hits.items()} == {
        0.05: True,
        0.09: False,
        0.02: False,
    }
    assert passes(Counts("Cox, adjusted", "arm", 179, (0,) * 80, 0)), "what is not gated passes"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("rate", RATES)
def test_the_simulation_of_rates_agrees_with_enumeration(rate: float, size: int) -> None:
    """Coverage and size are sums of binomial probabilities over all pairs of counts; the draws must agree with them."""
    _, (n0, n1) = np.unique(arms(size), return_counts=True)
    x0, x1 = np.arange(n0 + 1)[:, None], np.arange(n1 + 1)
    probability = binom.pmf(x0, n0, rate) * binom.pmf(x1, n1, rate)
    wilson, newcombe = wilson_interval(x1, n1), newcombe_difference(x1, n1, x0, n0)
    pooled = (x0 + x1) / (n0 + n1)
    with np.errstate(invalid="ignore"):
        z_squared = (x1 / n1 - x0 / n0) ** 2 / (pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    exact = {
        "Wilson": np.sum(probability * ((wilson.low <= rate) & (rate <= wilson.high))),
        "Newcombe difference": np.sum(probability * ((newcombe.low <= 0) & (newcombe.high >= 0))),
        "chi-square": np.sum(probability * (z_squared > chi2.isf(0.05, 1))),
    }
    for name, share in exact.items():
        recorded = next(one for one in RECORD if one.measure == f"{name}, {rate * 100:.0f} %" and one.size == size)
        low, high = binom.ppf([1e-5, 1 - 1e-5], recorded.replicates, share)
        assert low <= sum(recorded.hits) <= high, name
