"""Protects that admissible tables are the right ones, each drawn with the same probability: against trying them all."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from cohort.errors import ReconstructionError, UsageError
from cohort.seeds import SeedTree
from cohort.targets import Study, load_study
from synthetic import admissible_tables as module
from synthetic.admissible_tables import AdmissibleTable, count_tables, sample_tables
from synthetic.reconstruct import reconstruct

COMMON = {"status": "reported", "source": "s"}
CR, PR, OR = "complete_response", "partial_response", "overall_response"
Cell = tuple[int, int, int]  # assessed, complete, partial
Table = tuple[Cell, ...]  # of the first arm, then of the second


def target(measure: str, month: int, value: str, arm: str = "a", unit: str = "percent") -> dict[str, Any]:
    name = f"{measure}_{month}_{arm}"
    more = {"arm": arm, "month": month, "value": value, "unit": unit, **COMMON}
    return {"id": name, "kind": "number", "measure": measure, **more}


def study(months: list[int], targets: list[dict[str, Any]], sizes: dict[str, int], **more: Any) -> Study:
    arms = [
        {"code": code, "label": code, "size": size, "tacrolimus": code == "a", **COMMON} for code, size in sizes.items()
    ]
    source = [{"key": "s", "citation": "c", "url": "u"}]
    head = {"name": "small", "title": "t", "citation": "c", "visit_months": months, "source": source}
    return Study.model_validate({**head, "arm": arms, "target": targets, **more})


P_VALUE = {
    "id": "p", "kind": "number", "measure": "p_value", "compares": CR, "month": 12, "value": "0.4",
    "unit": "probability", **COMMON,
}  # fmt: skip
BOUND = study(
    [6, 12],
    [
        target(CR, 6, "50"), target(OR, 6, "75"), target(CR, 12, "33"),
        target(OR, 6, "67", "b"), target(CR, 12, "60", "b"), target(OR, 12, "80", "b"), P_VALUE,
    ],
    {"a": 8, "b": 6},
    reconstruction={"p_value": [{"target": "p", "test": "pearson", "reason": "r"}]},
)  # fmt: skip
APART = study(
    [6, 12], [target(CR, 6, "50"), target(OR, 12, "67"), target(OR, 6, "67", "b"), target(CR, 12, "50", "b")],
    {"a": 6, "b": 5},
)  # fmt: skip


def prints(events: int, n: int, printed: str) -> bool:
    exact = Decimal(100 * events) / n
    return printed in {str(exact.quantize(Decimal(1), rule)) for rule in (ROUND_HALF_UP, ROUND_HALF_EVEN)}


def pearson(a: int, m: int, c: int, k: int) -> float:
    margin = m * k * (a + c) * (m + k - a - c)
    return math.erfc(math.sqrt((m + k) * (a * k - c * m) ** 2 / margin / 2)) if margin else math.nan


def every_table(of: Study, *, bound: bool) -> set[Table]:
    """Try all tables of two arms at months 6 and 12, of which one percentage or more is printed each."""

    def cells(arm: str, month: int, size: int) -> list[Cell]:
        measures = {CR: 1, PR: 2, OR: 3}
        printed = [(measure, of.printed(measure, arm=arm, month=month)) for measure in (CR, PR, OR)]  # type: ignore[arg-type]
        return [
            (n, c, p)
            for n in range(1, size + 1)
            for c in range(n + 1)
            for p in range(n - c + 1)
            if all(prints((0, c, p, c + p)[measures[m]], n, found.printed) for m, found in printed if found)
        ]

    found = set()
    options = [cells(arm.code, month, arm.size) for arm in of.arms for month in (6, 12)]
    for table in itertools.product(*options):
        falls = table[0][0] >= table[1][0] and table[2][0] >= table[3][0]
        p = pearson(table[1][1], table[1][0], table[3][1], table[3][0])
        if falls and (not bound or abs(p - 0.4) <= 0.05):
            found.add(table)
    return found


def as_cells(table: AdmissibleTable) -> Table:
    return tuple(map(tuple, table.counts[["assessed", "complete", "partial"]].to_numpy().tolist()))


@pytest.mark.parametrize(("record", "bound"), [(BOUND, True), (APART, False)])
def test_all_tables_and_no_others_once_each(record: Study, bound: bool) -> None:
    expected = every_table(record, bound=bound)
    assert len(expected) > 20
    assert count_tables(record) == len(expected)
    drawn = [as_cells(table) for table in sample_tables(record, len(expected) + 10, SeedTree(1))]
    assert len(drawn) == len(expected)
    assert set(drawn) == expected


def test_the_p_value_counts() -> None:
    assert every_table(BOUND, bound=True) < every_table(BOUND, bound=False)


@pytest.mark.slow
def test_every_table_has_the_same_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chi-square of the second table over 400 seeds; a right sampler fails for one choice of seeds in 1000."""
    record = study([6], [target(OR, 6, "100")], {"a": 5})
    chosen = reconstruct(record)
    monkeypatch.setattr(module, "reconstruct", lambda *_, **__: chosen)  # once is enough
    default = as_cells(sample_tables(record, 1, SeedTree(0))[0])
    others = {((n, complete, n - complete),) for n in range(1, 6) for complete in range(n + 1)} - {default}
    assert len(others) == 19
    drawn = Counter(as_cells(sample_tables(record, 2, SeedTree(seed))[1]) for seed in range(400))
    assert set(drawn) <= others
    critical = 42.312  # the 0.999 quantile of chi-square with 18 degrees of freedom
    assert chi_square(drawn, dict.fromkeys(others, 1 / 19)) < critical
    # The same counts refute denominators of equal probability, so that the test can tell the two apart.
    splits = Counter(n for ((n, _, _),) in others)
    assert chi_square(drawn, {table: 1 / 5 / splits[table[0][0]] for table in others}) > critical


def chi_square(drawn: Counter[Table], probability: dict[Table, float]) -> float:
    many = sum(drawn.values())
    return sum((drawn[table] - many * share) ** 2 / (many * share) for table, share in probability.items())


def test_the_first_table_is_the_default_and_the_others_say_how_they_differ() -> None:
    record = load_study("kim2025")
    default = reconstruct(record)
    first, second = sample_tables(record, 2, SeedTree(7))
    assert (first.name, second.name) == ("ensemble-0001", "ensemble-0002")
    assert first.counts.equals(default.counts)
    assert first.differences.empty
    assert second.flares.equals(default.flares)
    cell, names = ["arm", "month"], ["assessed", "complete", "partial", "none"]
    back = second.counts.set_index(cell)[names] - default.counts.set_index(cell)[names]
    changed = second.differences.set_index(cell)[names]
    assert changed.equals(back.loc[changed.index])
    assert (changed != 0).any(axis=1).all()
    assert (back.drop(changed.index) == 0).all(axis=None)


def test_an_alternative_reading_has_its_own_tables() -> None:
    record = load_study("kim2025")
    reading = record.reconstruction.alternatives[0]
    first, second = sample_tables(record, 2, SeedTree(7), alternative=reading.name)
    assert first.counts.equals(reconstruct(record, alternative=reading.name).counts)
    for fixed in reading.denominators:
        printed = record.target(fixed.target)
        row = second.counts[(second.counts["arm"] == printed.arm) & (second.counts["month"] == printed.month)]
        assert row["assessed"].tolist() == [fixed.n]
    assert count_tables(record, alternative=reading.name) < count_tables(record)


def test_visits_with_nothing_printed_follow_the_printed_ones() -> None:
    targets = [target("assessed", 6, "9", unit="patients"), target(CR, 12, "50"), target(CR, 36, "50")]
    record = study([6, 12, 24, 36], targets, {"a": 10})
    tables = sample_tables(record, 50, SeedTree(3))
    assert len(tables) == 50
    for table in tables:
        n = table.counts["assessed"].tolist()
        assert n[0] == 9
        assert n == sorted(n, reverse=True)
        assert n[2] == (n[1] + n[3] + 1) // 2  # half-way in time, halves up
    # Whatever is chosen at months 12 and 36: denominators 2, 4, 6, 8 that never rise, partial from none to the rest.
    ways = {n: n // 2 + 1 for n in (2, 4, 6, 8)}
    assert count_tables(record) == sum(ways[n] * ways[m] for n in ways for m in ways if m <= n)


def test_numbers_beyond_64_bits_are_counted_exactly() -> None:
    months = [6 * visit for visit in range(1, 9)]
    record = study(months, [target(CR, month, "300", unit="patients") | {"n": 1000} for month in months], {"a": 1000})
    assert count_tables(record) == 701**8 > 2**64
    partial = sample_tables(record, 5, SeedTree(3))[1].counts["partial"]
    assert partial.between(0, 700).all()
    assert partial.nunique() > 1


def test_nearest_numbers_stand_in_where_print_contradicts_itself() -> None:
    record = load_study("zavada2010")
    assert not reconstruct(record).unattainable.empty
    assert count_tables(record) == len(sample_tables(record, 3, SeedTree(1))) == 1


def test_no_tables_asked_for() -> None:
    with pytest.raises(UsageError, match="at least one table is needed"):
        sample_tables(load_study("kim2025"), 0, SeedTree(1))


def test_unknown_reading() -> None:
    with pytest.raises(ReconstructionError, match="no such alternative reading"):
        count_tables(load_study("kim2025"), alternative="Z")
