"""Every example in a docstring runs and gives what it says; everything public has a docstring."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import pytest

import analyses
import cohort
import synthetic

MODULES = sorted(
    found.name
    for package in (cohort, synthetic, analyses)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert results.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    for label, value in vars(module).items():
        own = getattr(value, "__module__", None) == name and not label.startswith("_")
        if own and (inspect.isclass(value) or inspect.isfunction(value)):
            assert value.__doc__, f"{name}.{label}"


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    examples = sum(len(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert examples > 40
