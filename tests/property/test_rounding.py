"""Protects the exact decision whether e of n patients print as a percentage, against decimal rounding."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cohort.candidates import candidates
from cohort.errors import UsageError
from cohort.rounding import percentage_prints_as, printed_decimals, probability_prints_as, scaled


def rounded(events: int, n: int, decimals: int, rule: str) -> str:
    """Round 100 e / n by the rule; a Fraction of small integers is exact in 60 digits unless it is no tie at all."""
    share = Fraction(100 * events * 10**decimals, n)
    whole = share.numerator // share.denominator
    rest = share - whole
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and (rule == ROUND_HALF_UP or whole % 2 == 1))
    return str(Decimal(whole + up).scaleb(-decimals)) if decimals else str(whole + up)


@given(st.integers(1, 400), st.data(), st.integers(0, 3))
def test_agrees_with_half_up_or_half_even_and_nothing_else(n: int, data: st.DataObject, decimals: int) -> None:
    events = data.draw(st.integers(0, n))
    admitted = {rounded(events, n, decimals, rule) for rule in (ROUND_HALF_UP, ROUND_HALF_EVEN)}
    near = {Decimal(text) + Decimal(step).scaleb(-decimals) for text in admitted for step in (-1, 0, 1)}
    for value in near:
        if value >= 0:
            printed = str(value)
            found = bool(percentage_prints_as(np.array([events]), np.array([n]), printed)[0])
            assert found == (printed in admitted), printed


def test_a_tie_prints_both_ways() -> None:
    # 1/8 = 12.5 %: half up gives 13, half to even 12; 3/8 = 37.5 %: both give 38.
    one, three, eight = np.array([1]), np.array([3]), np.array([8])
    assert percentage_prints_as(one, eight, "13")[0]
    assert percentage_prints_as(one, eight, "12")[0]
    assert percentage_prints_as(three, eight, "38")[0]
    assert not percentage_prints_as(three, eight, "37")[0]


@given(st.integers(1, 60), st.integers(0, 1000), st.integers(0, 1))
def test_candidates_are_all_and_only_what_prints(max_n: int, value: int, decimals: int) -> None:
    printed = str(min(value, 100)) if decimals == 0 else f"{value / 10:.1f}"
    found = set(candidates(printed, max_n)[["events", "n"]].itertuples(index=False, name=None))
    everything = {
        (e, n)
        for n in range(1, max_n + 1)
        for e in range(n + 1)
        if percentage_prints_as(np.array([e]), np.array([n]), printed)[0]
    }
    assert found == everything


def test_candidates_start_at_the_smallest_denominator_asked_for() -> None:
    assert candidates("50", 4, min_n=3)[["events", "n"]].to_numpy().tolist() == [[2, 4]]
    assert candidates("0.0", 2)["events"].tolist() == [0, 0]
    assert candidates("100.0", 2)["events"].tolist() == [1, 2]


@pytest.mark.parametrize(("low", "high"), [(0, 5), (6, 5)])
def test_candidates_refuse_empty_bounds(low: int, high: int) -> None:
    with pytest.raises(UsageError, match=r"denominators must run from at least 1 upwards; got"):
        candidates("50", high, min_n=low)


def test_decimals_are_those_printed() -> None:
    assert [printed_decimals(text) for text in ("33.0", "33", "0.006")] == [1, 0, 3]
    assert scaled("0.006") == (6, 1000)


@pytest.mark.parametrize("text", ["", "49,5", "-1", ".5", "5.", "1e3", "²"])
def test_only_plain_decimals_are_read(text: str) -> None:
    with pytest.raises(UsageError, match="not a plain decimal number"):
        scaled(text)


def test_more_decimals_than_the_arithmetic_holds_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 6 decimals"):
        scaled("1.0000001")


@pytest.mark.parametrize("n", [0, 10**9 + 1])
def test_denominators_out_of_range_are_refused(n: int) -> None:
    with pytest.raises(UsageError, match="denominators must be from 1"):
        percentage_prints_as(np.array([0]), np.array([n]), "0")


def test_probabilities_admit_both_half_units_and_never_nan() -> None:
    p = np.array([0.0054999, 0.0055, 0.006, 0.0065, 0.0065001, np.nan])
    assert probability_prints_as(p, "0.006").tolist() == [False, True, True, True, False, False]
