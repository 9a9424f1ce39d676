"""Protects what no estimator may do, or must: each one exported is on a list and goes through the same checks."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from estimator_cases.case import DEGENERATE, Case, Exempt
from estimator_cases.registry import NO_ESTIMATORS, all_cases, digest, digests, public_callables, public_methods

from cohort.errors import AnalysisError, UsageError
from cohort.results import TEXT_COLUMNS, ResultTable, result_table

CASES = all_cases()
ESTIMATES = ["estimate", "std_error", "conf_low", "conf_high"]
NUMBERS = ["time", *ESTIMATES, "conf_level", "p_value", "n", "n_events"]
Outputs = Mapping[str, ResultTable | np.ndarray]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def assert_same(
    ours: Outputs, theirs: Outputs, relative: float, columns: list[str] = NUMBERS, texts: tuple[str, ...] = TEXT_COLUMNS
) -> None:
    """Compare outputs, to a relative difference and, near zero, to the same absolute one; 0 compares exactly."""
    assert list(ours) == list(theirs)
    for name, mine in ours.items():
        yours = theirs[name]
        if isinstance(mine, ResultTable):
            assert len(mine) == len(yours), name
            for column in columns:
                np.testing.assert_allclose(
                    mine.frame[column], yours.frame[column], relative, relative, err_msg=f"{name}: {column}"
                )
            for column in texts:
                assert mine.frame[column].fillna("").tolist() == yours.frame[column].fillna("").tolist(), name
        else:
            np.testing.assert_allclose(mine, yours, relative, relative, err_msg=name)


@cache
def usual(case: Case) -> Outputs:
    return case.outputs(case.table.rows())


def where_it_is_a_theorem(holds: Callable[[Case], object]) -> pytest.MarkDecorator:
    """Parametrize over the cases for which an invariant is a theorem."""
    return pytest.mark.parametrize(
        "case", [case for case in CASES if not isinstance(holds(case), Exempt)], ids=lambda case: case.name
    )


def test_every_public_estimator_is_on_the_list() -> None:
    # Fails for whoever exports an estimator: add a line to tests/metamorphic/estimator_cases, see case.py there.
    covered = [thing for case in CASES for thing in case.of]
    missing = {name for name, thing in public_callables().items() if thing not in covered}
    assert missing == set(NO_ESTIMATORS)
    assert len({case.name for case in CASES}) == len(CASES)


@every_case
def test_every_method_of_a_fit_is_called(case: Case) -> None:
    called = {name.partition(":")[0] for name in usual(case)}
    for thing in case.of:
        if isinstance(thing, type):
            assert public_methods(thing) <= called, f"{case.name} does not call every method of {thing.__name__}"


@every_case
def test_the_input_is_left_as_it_was(case: Case) -> None:
    data, before = case.table.rows(), case.table.rows()
    index, columns = data.index, data.columns
    case.outputs(data)
    pd.testing.assert_frame_equal(data, before, check_exact=True)
    assert data.index is index
    assert data.columns is columns


@every_case
def test_the_order_of_rows_does_not_matter(case: Case) -> None:
    data = case.table.rows()
    order = np.random.default_rng(5).permutation(len(data))
    shuffled = case.outputs(data.iloc[order].reset_index(drop=True))
    straight = {
        name: output if isinstance(output, ResultTable) else output[order] for name, output in usual(case).items()
    }
    assert_same(shuffled, straight, case.relative)


@every_case
def test_the_names_of_patients_do_not_matter(case: Case) -> None:
    data = case.table.rows()
    names = pd.unique(data["patient_id"])
    number = pd.Series(np.random.default_rng(6).permutation(len(names)), index=names)
    before = usual(case)
    for renamed in (data["patient_id"].map(number), "z" + data["patient_id"].map(number).astype(str)):
        assert_same(case.outputs(data.assign(patient_id=renamed)), before, case.relative)


@where_it_is_a_theorem(lambda case: case.time_unit)
def test_the_unit_of_time_scales_what_is_a_time(case: Case) -> None:
    unit, data = 30.4375, case.table.rows()
    scaled = case.outputs(data.assign(**{name: data[name] * unit for name in case.table.times}), unit)
    expected: dict[str, ResultTable | np.ndarray] = {}
    for name, output in usual(case).items():
        if isinstance(output, ResultTable):
            powers = [
                case.time_unit.get(str(row.statistic), case.time_unit.get(str(row.term), 0))
                for row in output.frame.itertuples()
            ]
            frame = output.frame.assign(time=output.frame["time"] * unit)
            frame[ESTIMATES] = frame[ESTIMATES].mul(np.power(unit, np.array(powers, dtype=np.float64)), axis=0)
            expected[name] = ResultTable(frame)
        else:
            expected[name] = output
    assert_same(scaled, expected, max(case.relative, 1e-11))


@where_it_is_a_theorem(lambda case: case.half_weights)
def test_rows_entered_twice_with_half_their_weight_change_nothing(case: Case) -> None:
    data = case.table.rows()
    halves = pd.concat([data, data], ignore_index=True).assign(w=np.tile(data["w"] / 2, 2))
    assert_same(
        tables(case.outputs(halves)), tables(usual(case)), case.relative, list(case.half_weights), ("statistic", "term")
    )


def tables(outputs: Outputs) -> Outputs:
    return {name: output for name, output in outputs.items() if isinstance(output, ResultTable)}


@where_it_is_a_theorem(lambda case: case.swapped_arms)
def test_swapping_the_arms_turns_contrasts_round(case: Case) -> None:
    data = case.table.rows()
    other = {"a": "b", "b": "a"}
    swapped, before = case.outputs(data.assign(arm=data["arm"].map(other))), usual(case)
    for name, table in before.items():
        if isinstance(table, ResultTable):
            ours, expected = (
                frame.sort_values(["group", "contrast", "statistic", "term", "time"], ignore_index=True)
                for frame in (
                    swapped[name].frame,
                    turned(table.frame.assign(group=table.frame["group"].replace(other))),
                )
            )
            of_reference = (ours["term"] == "Intercept") | ours["term"].str.contains("|", regex=False)
            kept = ~of_reference.fillna(False) | ours["contrast"].notna()  # intercepts and thresholds
            assert ours["group"].equals(expected["group"])
            for column in [*ESTIMATES, "p_value", "n"]:
                np.testing.assert_allclose(
                    ours.loc[kept, column],
                    expected.loc[kept, column],
                    case.relative * 10,
                    case.relative * 10,
                    err_msg=f"{name}: {column}",
                )


def turned(frame: pd.DataFrame) -> pd.DataFrame:
    """Negate the differences and invert the ratios of contrasts between the arms."""
    turned = frame.copy()
    of_arms = frame["contrast"].notna() | (frame["term"] == "arm=b").fillna(False)
    statistic = frame["statistic"].astype(str)
    logarithm = statistic.str.match("(change_in_)?log_") & (statistic != "log_likelihood")
    negated = of_arms & (logarithm | statistic.str.endswith("difference") | statistic.str.startswith("smd"))
    inverted = of_arms & ~logarithm & (statistic.str.contains("ratio") | (statistic == "odds"))
    for chosen, turn in ((negated, np.negative), (inverted, np.reciprocal)):
        for column, source in (("estimate", "estimate"), ("conf_low", "conf_high"), ("conf_high", "conf_low")):
            turned.loc[chosen, column] = turn(frame.loc[chosen, source].to_numpy())
    return turned


@pytest.mark.parametrize("kind", DEGENERATE)
@every_case
def test_too_little_input_gives_a_reason(case: Case, kind: str) -> None:
    data = DEGENERATE[kind](case.table.rows(), case.table)
    if kind in case.refuses:
        with pytest.raises((AnalysisError, UsageError)) as caught:
            case.outputs(data)
        assert caught.value.what
        assert caught.value.where
    else:
        for name, table in case.outputs(data).items():
            if isinstance(table, ResultTable):
                assert len(table), name
                assert silent_rows(table.frame, usual(case)[name].frame).to_dict("records") == [], name
                assert covariates(table.frame, data) == covariates(usual(case)[name].frame, data), name


def silent_rows(frame: pd.DataFrame, healthy: pd.DataFrame) -> pd.DataFrame:
    """Return rows that lack an estimate, or a number their statistic usually has, and do not say why."""
    lacking = frame["estimate"].isna() | np.isinf(frame["estimate"])
    for column in ("std_error", "conf_low", "conf_high", "p_value"):
        with_it = set(healthy.loc[healthy[column].notna(), "statistic"])
        lacking |= frame["statistic"].isin(with_it) & (frame[column].isna() | np.isinf(frame[column]))
    return frame[lacking & frame["note"].isna()]


def covariates(frame: pd.DataFrame, data: pd.DataFrame) -> set[str]:
    """Return the columns of the data that have a term, in levels or whole."""
    return {str(term).partition("=")[0] for term in frame["term"].dropna()} & set(data.columns)


def with_values(change: Callable[[pd.Series], pd.Series]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda data: pd.DataFrame({name: change(data[name]) for name in data.columns}, copy=False)


def read_only(column: pd.Series) -> pd.Series:
    values = column.to_numpy().copy()
    values.flags.writeable = False
    return pd.Series(values, index=column.index, copy=False)


def converted(data: pd.DataFrame, backend: Literal["numpy_nullable", "pyarrow"]) -> pd.DataFrame:
    with np.errstate(invalid="ignore"):  # pandas tries infinite values as integers
        return data.convert_dtypes(dtype_backend=backend)


def is_text(column: pd.Series) -> bool:
    return not pd.api.types.is_numeric_dtype(column.dtype)


STATES = ("response", "from_state", "to_state")
"""Columns of outcomes whose declared order is a statement about them."""
DTYPES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nullable": lambda data: converted(data, "numpy_nullable"),
    "Arrow": lambda data: converted(data, "pyarrow"),
    "categorical": with_values(lambda c: c.astype("category").cat.add_categories("unused") if is_text(c) else c),
    "ordered": with_values(
        lambda c: c.astype("category").cat.as_ordered() if is_text(c) and c.name not in STATES else c
    ),
    "booleans as numbers": with_values(lambda c: c.astype("int64") if c.dtype == bool else c),
    "read-only": with_values(read_only),
}
INDICES: dict[str, Callable[[int], pd.Index]] = {
    "texts": lambda n: pd.Index([f"row {i % 7}" for i in range(n)], name="arm"),
    "missing": lambda n: pd.Index([np.nan] * n, name="patient_id"),
    "dates": lambda n: pd.date_range("2020-01-01", periods=n)[::-1],
    "several levels": lambda n: pd.MultiIndex.from_arrays([np.arange(n) % 3, np.arange(n)], names=["arm", None]),
}


@pytest.mark.parametrize("kind", DTYPES)
@every_case
def test_any_dtype_of_the_values_is_accepted(case: Case, kind: str) -> None:
    data = case.table.rows()
    changed = DTYPES[kind](data)
    before = changed.copy()
    assert_same(case.outputs(changed), usual(case), 0)
    pd.testing.assert_frame_equal(changed, before, check_exact=True)


@pytest.mark.parametrize("kind", INDICES)
@every_case
def test_any_index_is_accepted(case: Case, kind: str) -> None:
    data = case.table.rows()
    changed = data.set_axis(INDICES[kind](len(data)))
    assert_same(case.outputs(changed), usual(case), 0)
    pd.testing.assert_index_equal(changed.index, INDICES[kind](len(data)))


@every_case
def test_columns_that_are_not_asked_for_do_not_matter(case: Case) -> None:
    data = case.table.rows()
    changed = data.assign(other=np.nan, another=None)
    assert_same(case.outputs(changed), usual(case), 0)


@where_it_is_a_theorem(lambda case: case.missing)
def test_a_missing_value_is_refused_or_in_a_column_that_is_not_used(case: Case) -> None:
    data = case.table.rows()
    gaps = {name: converted(data[[name]], "numpy_nullable")[name].mask(np.arange(len(data)) == 3) for name in data}
    # Each refusal names a column, which is then given whole; with the columns left, the estimator must not see a gap.
    while isinstance(found := case_or_refusal(case, data.assign(**gaps)), AnalysisError):
        named = [name for name in gaps if name in found.where]
        assert named, found
        assert re.search(r"\b1\b", found.got), "the number of rows is named"
        assert found.remedy
        del gaps[max(named, key=len)]
    assert_same(found, usual(case), 0)


def case_or_refusal(case: Case, data: pd.DataFrame) -> Outputs | AnalysisError:
    try:
        return case.outputs(data)
    except AnalysisError as refusal:
        return refusal


@every_case
def test_the_same_input_gives_the_same_bytes(case: Case) -> None:
    assert digest(case) == digest(case)


@pytest.mark.slow
def test_another_process_gives_the_same_bytes() -> None:
    folder = Path(__file__).parent
    environment = os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "estimator_cases.registry"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == digests()


def constant(value: float, statistic: str = "mean", **more: object) -> ResultTable:
    return result_table([{"statistic": statistic, "estimate": float(value), **more}])


CALLS = itertools.count()
BROKEN: dict[str, tuple[Callable[[Case], None], Callable[[pd.DataFrame, float], ResultTable]]] = {
    "mutates": (test_the_input_is_left_as_it_was, lambda d, _: constant(d.pop("x").mean())),
    "takes the first row": (test_the_order_of_rows_does_not_matter, lambda d, _: constant(d["x"].iloc[0])),
    "reads names": (test_the_names_of_patients_do_not_matter, lambda d, _: constant(len(str(d["patient_id"].iloc[0])))),
    "is a time": (test_the_unit_of_time_scales_what_is_a_time, lambda d, _: constant(d["t"].mean())),
    "counts rows": (test_rows_entered_twice_with_half_their_weight_change_nothing, lambda d, _: constant(len(d))),
    "does not turn": (
        test_swapping_the_arms_turns_contrasts_round,
        lambda *_: constant(1, "risk_difference", contrast="b v a"),
    ),
    "is silent": (partial(test_too_little_input_gives_a_reason, kind="empty"), lambda d, _: constant(d["x"].mean())),
    "wants a dtype": (
        partial(test_any_dtype_of_the_values_is_accepted, kind="Arrow"),
        lambda d, _: constant(d["x"].dtype == "float64"),
    ),
    "reads the index": (partial(test_any_index_is_accepted, kind="texts"), lambda d, _: constant(d.index[0] == 0)),
    "counts columns": (test_columns_that_are_not_asked_for_do_not_matter, lambda d, _: constant(len(d.columns))),
    "drops rows": (
        test_a_missing_value_is_refused_or_in_a_column_that_is_not_used,
        lambda d, _: constant(d["x"].mean()),
    ),
    "counts calls": (test_the_same_input_gives_the_same_bytes, lambda *_: constant(next(CALLS))),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_each_check_finds_the_fault_it_is_for(fault: str) -> None:
    check, run = BROKEN[fault]
    with pytest.raises(AssertionError):
        check(Case(fault, run, of=(), half_weights=("estimate",), refuses=()))
