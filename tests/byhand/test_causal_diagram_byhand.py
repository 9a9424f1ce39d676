"""Back-door criterion on textbook diagrams whose answers are known: forks, chains, colliders, the M."""

from __future__ import annotations

import pytest

from analyses.design import CausalDiagram, read_diagram
from cohort.errors import AnalysisError


def diagram(*lines: str, unmeasured: tuple[str, ...] = ()) -> CausalDiagram:
    return read_diagram(lines, treatment="a", outcome="y", unmeasured=unmeasured)


def test_a_common_cause_confounds_until_it_is_adjusted_for():
    fork = diagram("l -> a, y", "a -> y")
    assert fork.confounding_left_open([])
    assert not fork.confounding_left_open(["l"])


def test_a_mediator_leaves_nothing_open_and_may_not_be_adjusted_for():
    chain = diagram("a -> m", "m -> y")
    assert not chain.confounding_left_open([])
    assert chain.mistakes(["m"]) == ("m is caused by a: adjusting for it takes away part of the effect",)


def test_the_m_opens_when_its_middle_is_adjusted_for():
    """a <- u1 -> m <- u2 -> y: closed by itself, opened by conditioning on the collider m."""
    m = diagram("u1 -> a, m", "u2 -> m, y", "a -> y", unmeasured=("u1", "u2"))
    assert not m.confounding_left_open([])
    assert m.confounding_left_open(["m"])


def test_a_descendant_of_a_collider_opens_it_too():
    m = diagram("u1 -> a, m", "u2 -> m, y", "m -> d", "a -> y", unmeasured=("u1", "u2"))
    assert m.confounding_left_open(["d"])


def test_a_proxy_does_not_close_what_its_cause_opens():
    proxy = diagram("u -> a, y, p", "a -> y", unmeasured=("u",))
    assert proxy.confounding_left_open(["p"])
    assert proxy.unmeasured_confounders(["p"]) == ("u",)
    assert proxy.mistakes(["p"]) == ()


def test_a_measured_variable_on_the_path_stands_in_for_an_unmeasured_one():
    blocked = diagram("u -> l, y", "l -> a", "a -> y", unmeasured=("u",))
    assert blocked.unmeasured_confounders(["l"]) == ()
    assert not blocked.confounding_left_open(["l"])


def test_parents_of_both_leave_out_what_treatment_causes():
    full = diagram("l, i -> a", "l, p -> y", "a -> m, y", "m -> y")
    assert full.parents_of_both() == ("l", "i", "p")


def test_confounding_left_open_names_what_would_close_it():
    two = diagram("l, k -> a, y", "a -> y")
    assert two.mistakes(["l"]) == ("measured confounding stays open; to close it, add k",)
    assert two.mistakes(["l", "k", "a", "z"]) == ("a is the treatment itself", "z is not in the diagram")


def test_what_nobody_measured_cannot_be_adjusted_for():
    fork = diagram("u -> a, y", "a -> y", unmeasured=("u",))
    assert fork.mistakes(["u"]) == ("u is unmeasured: it cannot be adjusted for",)


def test_a_circle_is_refused():
    with pytest.raises(AnalysisError, match="circle; got l, m"):
        diagram("l -> m", "m -> l", "a -> y")


def test_unknown_names_and_lines_that_are_no_arrows_are_refused():
    with pytest.raises(AnalysisError, match="not a variable of the diagram; got y"):
        diagram("a -> b")
    with pytest.raises(AnalysisError, match="not an arrow; got 'a <- y'"):
        diagram("a <- y")
