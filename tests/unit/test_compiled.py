"""Protects the door to numba: lazy, cached where it can be, working where it cannot, off when asked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from analyses.kernels.compiled import Compiled, compiled

CALLEE = '''
from analyses.kernels.compiled import compiled

@compiled
def squared(value):
    """Square."""
    return value * value
'''
KERNEL = """
from analyses.kernels.compiled import compiled
from callee import squared

@compiled
def sum_of_squares(values):
    total = 0.0
    for value in values:
        total += squared(value)
    return total
"""
ASK = """
import sys, pickle, numpy as np
import kernel
assert "numba" not in sys.modules
assert kernel.squared.__name__ == "squared" and kernel.squared.__doc__ == "Square."
print(kernel.sum_of_squares(np.array([1.0, 2.0, 3.0])))
print(pickle.loads(pickle.dumps(kernel.sum_of_squares)) is kernel.sum_of_squares)
print(type(kernel.sum_of_squares.prepared()).__name__)
stats = getattr(kernel.sum_of_squares.prepared(), "stats", None)
print(sum(stats.cache_hits.values()) if stats else "-", stats.cache_path if stats else "-")
"""


def asked(folder: Path, **environment: str) -> list[str]:
    for name, text in (("kernel.py", KERNEL), ("callee.py", CALLEE)):
        if not (folder / name).exists():  # rewriting it would make the stored code stale
            (folder / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASK],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_compiled_functions_are_lazy_call_each_other_and_are_kept_on_disk(tmp_path: Path) -> None:
    place = tmp_path / "cache"
    first = asked(tmp_path, NUMBA_CACHE_DIR=str(place), NUMBA_DISABLE_JIT="0")
    assert first[:3] == ["14.0", "True", "CPUDispatcher"]
    assert first[3].startswith("0 ")
    assert asked(tmp_path, NUMBA_CACHE_DIR=str(place), NUMBA_DISABLE_JIT="0")[3].startswith("1 ")


def test_stored_code_is_renewed_when_a_function_it_calls_changes(tmp_path: Path) -> None:
    place = str(tmp_path / "cache")
    assert asked(tmp_path, NUMBA_CACHE_DIR=place, NUMBA_DISABLE_JIT="0")[0] == "14.0"
    (tmp_path / "callee.py").write_text(CALLEE.replace("value * value", "value * value * value"), encoding="utf-8")
    assert asked(tmp_path, NUMBA_CACHE_DIR=place, NUMBA_DISABLE_JIT="0")[0] == "36.0"


def test_a_function_without_a_place_to_keep_its_code_is_compiled_all_the_same() -> None:
    """Code that comes from no file has no place beside it: numba refuses to cache it."""
    names: dict[str, object] = {"compiled": compiled}
    exec("@compiled\ndef tripled(value):\n    return 3 * value\n", names)
    tripled = names["tripled"]
    assert isinstance(tripled, Compiled)
    assert tripled(2.0) == 6.0


def test_without_jit_the_python_code_runs(tmp_path: Path) -> None:
    assert asked(tmp_path, NUMBA_DISABLE_JIT="1") == ["14.0", "True", "function", "- -"]


def test_without_a_writable_place_each_process_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba says by a RuntimeError, when a function is decorated, that no place can be written to."""
    numba = pytest.importorskip("numba")
    asked_for: list[bool] = []

    def refusing(*, cache: bool, nogil: bool, error_model: str) -> object:
        assert nogil
        assert error_model == "numpy"
        asked_for.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return lambda function: function

    monkeypatch.setattr(numba, "njit", refusing)
    assert doubled()(2.0) == 4.0
    assert asked_for == [True, False]


def test_a_cache_place_that_fails_later_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk shows when the first call has compiled and wants to store."""
    numba = pytest.importorskip("numba")

    def full(*, cache: bool, nogil: bool, error_model: str) -> object:
        assert nogil
        assert error_model == "numpy"

        def refuse(*_: object) -> float:
            raise OSError("no space left on device")

        return lambda function: refuse if cache else function

    monkeypatch.setattr(numba, "njit", full)
    kernel = doubled()
    assert kernel(2.0) == 4.0
    assert kernel(3.0) == 6.0


def doubled() -> Compiled[[float], float]:
    @compiled
    def double(value: float) -> float:
        return 2 * value

    return double


def test_a_kernel_without_name_of_its_own_cannot_be_pickled() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="double"):
        pickle.dumps(doubled())
